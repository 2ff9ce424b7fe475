"""The sweep: what is due is timed out, and providers are asked again about what they left open (docs/payments.md).

It is made for a timer, every minute, and may run twice at once: what one has taken up, the other leaves. An order that
cannot be asked about keeps nobody else waiting, and a provider that does not answer is left for the next time.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from smartsub_tui.billing import access, changes, links, refunds
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.providers import DEADLINE, Answer, Talk, Unknown
from smartsub_tui.billing.session import Session
from smartsub_tui.data.database import available, rows
from smartsub_tui.data.models import Payment, Refund
from smartsub_tui.data.vocabulary import ProviderName
from smartsub_tui.errors import Refused, WrongUsage

# Of one provider, after so many calls in a row without an answer, the rest is left for the next sweep.
_PATIENCE: Final = 3
# How long what one sweep has taken up is left alone by others: as long as its calls may take, of which there are two.
_TAKEN: Final = DEADLINE * 3


class Heard(Struct, frozen=True, kw_only=True):
    """A payment or a refund that a provider was asked about, and its state before and after."""

    number: str
    provider: ProviderName
    before: str
    after: str


class Swept(Struct, frozen=True, kw_only=True):
    """What a sweep did. `waiting` is what is left for the next one, by the reason."""

    timed_out: int
    payments: tuple[Heard, ...] = ()
    refunds: tuple[Heard, ...] = ()
    waiting: dict[str, int] = {}


def sweep(session: Session, *, request_id: str | None = None, dry_run: bool = False) -> Talk[Swept]:
    """Time out what is due, ask about payments and refunds whose time to be asked has come, and time out again.

    A dry run asks nobody. Raises NotAllowed.
    """
    timed_out = changes.sweep(session, request_id=request_id, dry_run=dry_run)
    if dry_run:
        return Swept(timed_out=timed_out)
    silent: Counter[ProviderName] = Counter()
    waiting: Counter[str] = Counter()
    heard_of_payments = yield from _ask_all(session, Payment, silent, waiting)
    heard_of_refunds = yield from _ask_all(session, Refund, silent, waiting)
    timed_out += changes.sweep(session)
    return Swept(
        timed_out=timed_out, payments=heard_of_payments, refunds=heard_of_refunds, waiting=dict(sorted(waiting.items()))
    )


def _ask_all(
    session: Session, kind: type[Payment] | type[Refund], silent: Counter[ProviderName], waiting: Counter[str]
) -> Talk[tuple[Heard, ...]]:
    heard = []
    with available():
        now = session.clock.now()
        # In the order in which their time came: whoever was passed over comes first next time.
        due = list(rows(kind.select(kind.id, kind.ask_at).where(kind.ask_at <= now).order_by(kind.ask_at, kind.id)))
    for key, ask_at in due:
        with available():
            row = kind.get_by_id(key)
            before, payment = row.state, row if isinstance(row, Payment) else row.payment
            provider, number = payment.provider, payment.order.number
        if (why := _why_not_asked(session, provider, silent)) is not None:
            waiting[why] += 1
            continue
        if not _take(session, kind, key, ask_at):
            continue
        try:
            if isinstance(row, Payment):
                answer: Answer | None = yield from links.ask(session, key, end=_is_over(row, now), scheduled=True)
            else:
                answer = yield from refunds.pay_back(session, key)
        except Refused:
            continue  # someone else has just heard it
        with available():
            after = kind.get_by_id(key).state
        # The state does not tell: an open link that is not answered about stays open.
        silent[provider] = silent[provider] + 1 if isinstance(answer, Unknown) else 0
        heard.append(Heard(number=number, provider=provider, before=before.value, after=after.value))
    return tuple(heard)


def _why_not_asked(session: Session, provider: ProviderName, silent: Counter[ProviderName]) -> str | None:
    if silent[provider] >= _PATIENCE:
        return f"{provider.label} does not answer"
    try:
        session.providers(provider)
    except WrongUsage as error:
        return error.message
    return None


def _is_over(payment: Payment, now: datetime) -> bool:
    """Whether an open link has to end: its own time is over, or that of its order."""
    pay_by = payment.order.pay_by
    return (payment.expires_at is not None and payment.expires_at <= now) or (pay_by is not None and pay_by <= now)


def _take(session: Session, kind: Any, key: int, ask_at: datetime) -> bool:
    """Take up a row that is to be asked about; whether nobody else has. Who dies with it leaves it for later."""

    def once() -> bool:
        with session.database.writing():
            access.check(session.admin, Permission.SWEEP)
            later = session.clock.now() + _TAKEN
            return bool(kind.update(ask_at=later).where((kind.id == key) & (kind.ask_at == ask_at)).execute() == 1)

    with available():
        # Where it is not known whether it was stored, and it was, it looks as if another had taken it: it is left.
        return session.database.whole(once, repeatable=True)
