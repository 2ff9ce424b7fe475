"""Money that is paid back: what waits and could not be applied, and what a credit note takes back.

The row of a refund, with its key, is stored before the provider is asked, in the transaction that decides; the answer is
recorded in another (docs/payments.md).
"""

from __future__ import annotations

from typing import Final

from smartsub_tui.billing.changes import Change
from smartsub_tui.billing.providers import Talk
from smartsub_tui.billing.session import Session
from smartsub_tui.data.models import Payment, Refund


def begin(
    change: Change,
    payment: Payment,
    amount: int,
    reason: str,
    *,
    credit_note: int | None = None,
    reference: str | None = None,
) -> int:
    """Decide, in the change's own transaction, that `amount` minor units of a payment are paid back; the refund's id.

    `credit_note` is the row id of the credit note that takes them back. `reference` says that they are paid out by hand
    whatever the provider of the payment; without one, what came by hand goes back by hand under the key.
    """
    raise NotImplementedError


def pay_back(session: Session, refund: int) -> Talk[None]:
    """Have a refund that was begun paid back by its provider, and record what is answered."""
    raise NotImplementedError
    yield
