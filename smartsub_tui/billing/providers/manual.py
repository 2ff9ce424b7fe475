"""Money that people move by hand: by cash, or through a bank. There is nobody to ask; what they say is so."""

from __future__ import annotations

from smartsub_tui.billing.providers import Back, BackAnswer, Checkout, LinkAnswer, No, PaidBack, Unknown


class ByHand:
    """The provider of manual payments and bank transfers."""

    def create(self, checkout: Checkout) -> LinkAnswer:
        return No("money that is moved by hand has no payment link")

    def look_up(self, checkout: Checkout, reference: str | None) -> LinkAnswer:
        return Unknown("only who moves the money knows: confirm it when it is there")

    def expire(self, checkout: Checkout, reference: str) -> LinkAnswer:
        return Unknown("only who moves the money knows: confirm it when it is there")

    def refund(self, back: Back) -> BackAnswer:
        """It is noted as paid out, under the words that say so."""
        return PaidBack(reference=back.reference or back.key, amount=back.amount)
