"""The port to whoever moves money: what is asked of a provider, and the three kinds of what it answers.

Yes is a value that says what is so; `No`: definitely nothing happened; `Unknown`: it may have happened or not, and is
asked again (docs/payments.md). A call is never made while a transaction is open, nor in the database thread: what talks
to a provider is a `Talk`, which yields its calls and is sent the answers. `hold` does that for the command line, the
application's backend for its screens.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Protocol, TypeVar

from msgspec import Struct

from smartsub_tui.clock import Clock
from smartsub_tui.config import Settings
from smartsub_tui.data.database import Database
from smartsub_tui.data.money import Money
from smartsub_tui.data.vocabulary import ProviderName, Word
from smartsub_tui.errors import Unavailable

T = TypeVar("T")

# A call ends in this time, with an answer or without: one that was begun longer ago is no longer under way.
DEADLINE: Final = timedelta(seconds=20)


# What is asked


class Item(Struct, frozen=True):
    """So many things of one price, as whoever pays sees them; `price` is in minor units, gross or a line of tax."""

    name: str
    quantity: int
    price: int


class Checkout(Struct, frozen=True, kw_only=True):
    """What a payment link is opened for. The same `key` asks for the same link, however often it is sent."""

    key: str
    order: str
    total: Money
    items: tuple[Item, ...]
    ends_at: datetime
    created_at: datetime


class Back(Struct, frozen=True, kw_only=True):
    """Money of one charge to be paid back. The same `key` pays back once, however often it is sent.

    `reference` is the provider's name of it, once it is known, or the words under which it is noted; `asked_at` is now.
    `again`: it may have been sent before.
    """

    key: str
    order: str
    charge: str
    amount: Money
    reference: str | None
    created_at: datetime
    asked_at: datetime
    again: bool


# What is answered


class No(Struct, frozen=True):
    """Definitely nothing happened, and nothing will; `why` in a sentence of ours.

    `reference` is the provider's name of what was begun and came to nothing.
    """

    why: str
    reference: str | None = None


class Unknown(Struct, frozen=True):
    """It may have happened or not; `why` in a sentence of ours."""

    why: str


class LinkState(Word):
    """What became of a payment link."""

    OPEN = "open", "open"
    UNDER_WAY = "under_way", "money is under way"
    PAID = "paid", "paid"
    DECLINED = "declined", "declined"
    EXPIRED = "expired", "expired"


class Link(Struct, frozen=True, kw_only=True):
    """A payment link as it is: `charge` and `paid` are there with the money, `url` while it is open."""

    state: LinkState
    reference: str
    url: str | None
    ends_at: datetime
    charge: str | None = None
    paid: Money | None = None


class PaidBack(Struct, frozen=True, kw_only=True):
    """Money that was paid back, or is on its way (`under_way`)."""

    reference: str
    amount: Money
    under_way: bool = False


LinkAnswer = Link | No | Unknown
BackAnswer = PaidBack | No | Unknown
Answer = Link | PaidBack | No | Unknown


class Provider(Protocol):
    """Each method ends within DEADLINE and raises nothing that a network, a provider or a setting can cause."""

    def create(self, checkout: Checkout) -> LinkAnswer:
        """Open a payment link."""

    def look_up(self, checkout: Checkout, reference: str | None) -> LinkAnswer:
        """The link as it is; without a reference, what became of a create() that was not answered."""

    def expire(self, checkout: Checkout, reference: str) -> LinkAnswer:
        """End a link that is open, and the link as it is afterwards: it may have been paid first."""

    def refund(self, back: Back) -> BackAnswer:
        """Pay back; or, where that was asked before, what became of it."""


# Calls and who makes them


class Abandoned(Unavailable):
    """Nobody waits for the answer to a call any more, for the application ends; it may have been made."""


class Create(Struct, frozen=True):
    provider: ProviderName
    checkout: Checkout

    def put_to(self, provider: Provider) -> LinkAnswer:
        return provider.create(self.checkout)


class LookUp(Struct, frozen=True):
    provider: ProviderName
    checkout: Checkout
    reference: str | None

    def put_to(self, provider: Provider) -> LinkAnswer:
        return provider.look_up(self.checkout, self.reference)


class Expire(Struct, frozen=True):
    provider: ProviderName
    checkout: Checkout
    reference: str

    def put_to(self, provider: Provider) -> LinkAnswer:
        return provider.expire(self.checkout, self.reference)


class PayBack(Struct, frozen=True):
    provider: ProviderName
    back: Back

    def put_to(self, provider: Provider) -> BackAnswer:
        return provider.refund(self.back)


Call = Create | LookUp | Expire | PayBack
Talk = Generator[Call, Any, T]
Providers = Callable[[ProviderName], Provider]


def of_settings(settings: Settings, clock: Clock) -> Providers:
    """The providers as they are set up, by the clock of their session; one that is not set up raises WrongUsage when it
    is asked for.
    """
    made: dict[ProviderName, Provider] = {}

    def provider(name: ProviderName) -> Provider:
        if name not in made:
            if name is ProviderName.STRIPE:
                from smartsub_tui.billing.providers.stripe import Stripe

                made[name] = Stripe(settings.payments, clock)
            else:
                from smartsub_tui.billing.providers.manual import ByHand

                made[name] = ByHand()
        return made[name]

    return provider


class Ended(Struct, Generic[T], frozen=True):
    """A talk is over, and this came out of it."""

    result: T


def step(database: Database, talk: Talk[T], answer: Answer | None) -> Call | Ended[T]:
    """Go on with a talk: the call that it makes next, or its end."""
    before = database.committed
    try:
        call = talk.send(answer)
    except StopIteration as ended:
        return Ended(ended.value)
    except Unavailable as error:
        if answer is None and database.committed == before:
            raise
        raise error.behind_the_first() from error
    if database.reads_only:  # what a provider is asked to do, or says, could not be recorded
        talk.close()
        database.refuse_to_write()
    # A provider may take seconds, and its answer cannot be rolled back.
    if database.in_transaction():
        talk.close()
        raise AssertionError(f"{type(call).__name__} was called in a transaction")
    return call


def abandon(talk: Talk[Any], error: Abandoned) -> None:
    """End a talk whose call is abandoned; raises what the talk makes of that."""
    try:
        with suppress(StopIteration):
            talk.throw(error)
    finally:
        talk.close()
    raise error


def hold(database: Database, providers: Providers, talk: Talk[T]) -> T:
    """Hold a talk to its end, making its calls here."""
    next_ = step(database, talk, None)
    while not isinstance(next_, Ended):
        next_ = step(database, talk, next_.put_to(providers(next_.provider)))
    return next_.result
