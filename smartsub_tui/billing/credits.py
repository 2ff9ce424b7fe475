"""Taking back: a credit note over lines of a paid order, their dates replayed without them, the money paid back.

The rules (docs/credit-notes.md): a line is taken back once. What it did to its subscription goes, what others did stays
(ledger.replay). Per tax rate, the tax that is taken back is that of what stood before less that of what stands after,
each rounded half up on its sum: so credit notes add up to the invoice, whatever their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Final

from msgspec import Struct, json
from msgspec.structs import asdict, replace

from smartsub_tui.billing import invoices, ledger, refunds
from smartsub_tui.billing.changes import Change, check_text, perform
from smartsub_tui.billing.details import read_order, term_of
from smartsub_tui.billing.invoices import CreditedLine, SnapshotLine
from smartsub_tui.billing.ledger import Entry
from smartsub_tui.billing.payments import decided, expected_order, move
from smartsub_tui.billing.pricing import PPM, Totals
from smartsub_tui.billing.providers import Talk
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Dates
from smartsub_tui.data.database import available, rows
from smartsub_tui.data.models import Claim, Invoice, Order, OrderLine, Payment, Refund, Subscription, User
from smartsub_tui.data.money import Money, round_half_up
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.records import Hidden, InvoiceRecord
from smartsub_tui.data.vocabulary import InvoiceKind, Lapsed, LineAction, RefundState, Service, Trigger
from smartsub_tui.errors import NotFound, Refused

_CHUNK: Final = 500


class Becomes(Struct, frozen=True, kw_only=True, gc=False):
    """Until when a subscription ran, and runs without what was taken back; None: it is inactive."""

    user_id: str
    name: str
    before: date | None
    after: date | None


class Credited(Struct, frozen=True, kw_only=True):
    """The order after lines of it were taken back, the credit note, what the dates became, and how its money goes back.

    `paid_back` is None where there was nothing to pay back.
    """

    order: OrderDetails
    credit_note: InvoiceRecord
    dates: tuple[Becomes, ...]
    paid_back: RefundState | None
    refund: Hidden[int | None]  # its row id

    @property
    def is_paid_back(self) -> bool:
        """Whether nothing more has to be done about the money."""
        return self.paid_back in (None, RefundState.SUCCEEDED, RefundState.PENDING)

    def told_of_money(self, *, dry_run: bool = False) -> str:
        """What became of the money, as a person reads it."""
        money = self.credit_note.total
        match self.paid_back:
            case None if money.amount:
                return f"no money came, so nothing of {money} is paid back"
            case None:
                return "there is nothing to pay back"
            case _ if dry_run:
                return f"{money} would be paid back"
            case RefundState.SUCCEEDED:
                return f"{money} was paid back"
            case RefundState.PENDING:
                return f"{money} is on its way back"
            case RefundState.DECLINED:
                return f"{money} could not be paid back: smartsub refund {self.order.number}"
            case _:
                return f"whether {money} was paid back is unknown, it is asked again"


class Proposed(Struct, frozen=True, kw_only=True):
    """A line as it could be taken back: dates as if it were done now, or why it cannot be."""

    dates: Becomes
    amount: int  # net, in minor units
    tax_rate_ppm: int
    objection: str


class Proposal(Struct, frozen=True, kw_only=True):
    """The lines of an order that stand, and the tax that is left of its invoice by rate (ppm), in minor units."""

    order: OrderDetails
    lines: tuple[Proposed, ...]
    tax_left: dict[int, int]

    def total_of(self, users: Collection[str]) -> Money:
        """What a credit note over the lines of these people comes to, gross."""
        stands = [(line.dates.user_id in users, line.amount, line.tax_rate_ppm) for line in self.lines]
        return Money(_taken(stands, self.tax_left).total, self.order.total.currency)


def credit(
    session: Session,
    number: str,
    reason: str,
    *,
    users: Collection[str] | None = None,
    reference: str | None = None,
    version: int | None = None,
    request_id: str | None = None,
    dry_run: bool = False,
) -> Talk[Credited]:
    """Take back the lines of these people (by their ids; None: all that stand) of a paid order, and pay them back.

    `reference` says that the money was paid back by hand, whoever took it. `version` is the one that was on the screen.
    Credit note, dates and the decision to pay back are one transaction; the provider is asked after it. Raises
    NotFound; Refused (imported history, deleted, taken back already, an open order holds someone, later lines stand on
    an activation); on each of them nothing is stored.
    """
    said = check_text("reason", reason)
    by_hand = None if reference is None else check_text("reference", reference)

    def work(change: Change) -> Credited:
        order = expected_order(number, version)
        decided(Trigger.CREDIT, order, change)
        lines = _standing(order)
        chosen = _chosen(order, lines, users)
        _refuse_held(order, chosen)
        invoice = _invoice_of(order)
        subscriptions = {line.subscription for line in chosen}
        before, after = _dates_with(subscriptions), _dates_without(order, subscriptions)
        for line in chosen:
            if after[line.subscription] is None:
                raise Refused(f"order {number} cannot be taken back: {line.user_id} {_STOOD_ON}: take those back first")
        taking = {line.id for line in chosen}
        total = _taken(
            ((line.id in taking, line.amount, line.tax_rate_ppm) for line in lines), _tax_left(order, invoice)
        )
        move(order, change)
        dates = {key: (before[key], now) for key, now in after.items() if now is not None}
        note = invoices.issue_credit_note(change, order, invoice, total, _as_invoiced(invoice, chosen, dates), by_hand)
        _take_back(order, note, taking)
        _put(order, dates)
        payment: Any = Payment.get_or_none((Payment.order == order) & Payment.applied)
        never_came = by_hand is None and payment is not None and payment.never_came
        if len(chosen) == len(lines):
            _settle_contest(change, order)
        became = tuple(
            Becomes(
                user_id=line.user_id,
                name=line.label,
                before=dates[line.subscription][0].expires_on,
                after=dates[line.subscription][1].expires_on,
            )
            for line in chosen
        )
        money = Money(total.total, order.currency)
        change.record(
            Trigger.CREDIT,
            order=order.id,
            before={"expires_on": _span(each.before for each in became)},
            after={
                "expires_on": _span(each.after for each in became),
                "credit_note": note.number,
                "amount": money,
                "taken_back": len(became),
                **({"reference": by_hand} if by_hand is not None else {}),
            },
            reason=said,
        )
        refund = None
        if total.total and not never_came:
            refund = refunds.begin(change, payment, total.total, said, credit_note=note.id, reference=by_hand)
        return Credited(
            order=read_order(number, change.now, change.settings),
            credit_note=InvoiceRecord(number=note.number, issued_on=note.issued_on, total=money),
            dates=became,
            paid_back=None if refund is None else Refund.get_by_id(refund).state,
            refund=refund,
        )

    chosen_users = None if users is None else sorted(set(users))
    arguments = {"number": number, "reason": said, "users": chosen_users, "reference": by_hand}
    done = perform(session, Trigger.CREDIT, arguments, Credited, work, request_id=request_id, dry_run=dry_run)
    if dry_run or done.refund is None:
        return done
    yield from refunds.pay_back(session, done.refund)
    with available():
        order = read_order(number, session.clock.now(), session.settings)
        return replace(done, order=order, paid_back=Refund.get_by_id(done.refund).state)


def propose(session: Session, number: str) -> Proposal:
    """What taking back would do to each line of an order that stands, by itself; raises NotFound."""
    with available():
        return session.database.at_one_moment(lambda: _proposed(session, number))


def _proposed(session: Session, number: str) -> Proposal:
    found = read_order(number, session.clock.now(), session.settings)
    order = Order.get_by_id(found.pk)
    lines = _standing(order)
    subscriptions = {line.subscription for line in lines}
    before, after = _dates_with(subscriptions), _dates_without(order, subscriptions)
    held = _held(subscriptions)
    shown = []
    for line in lines:
        then = after[line.subscription]
        objection = ""
        if line.subscription in held:
            objection = f"order {held[line.subscription]} holds it"
        elif then is None:
            objection = _STOOD_ON
        shown.append(
            Proposed(
                dates=Becomes(
                    user_id=line.user_id,
                    name=line.label,
                    before=before[line.subscription].expires_on,
                    after=None if then is None else then.expires_on,
                ),
                amount=line.amount,
                tax_rate_ppm=line.tax_rate_ppm,
                objection=objection,
            )
        )
    return Proposal(order=found, lines=tuple(shown), tax_left=_tax_left(order, _invoice_of(order)))


_STOOD_ON: Final = "was activated by it, and later orders stand on that"


# What stands


class _Line(Struct, frozen=True, gc=False):
    """A line that was applied and not taken back, with the row ids of it and of its subscription."""

    id: int
    subscription: int
    user_id: str
    label: str
    service: Service
    amount: int
    tax_rate_ppm: int


def _standing(order: Order) -> list[_Line]:
    stored = (
        OrderLine.select(
            OrderLine.id,
            OrderLine.subscription,
            User.key,
            OrderLine.label,
            Subscription.service,
            OrderLine.amount,
            OrderLine.tax_rate_ppm,
        )
        .join(Subscription, on=(OrderLine.subscription == Subscription.id))
        .join(User, on=(Subscription.user == User.id))
        .where((OrderLine.order == order) & OrderLine.applied_on.is_null(False) & OrderLine.credit_note.is_null())
        .order_by(OrderLine.id)
    )
    return [_Line(*line) for line in rows(stored)]


def _chosen(order: Order, lines: Sequence[_Line], users: Collection[str] | None) -> Sequence[_Line]:
    """The lines of these people; raises NotFound for whom the order is not, Refused where theirs was taken back."""
    if users is None:
        return lines
    if not users:
        raise Refused(f"order {order.number} cannot be taken back: nobody of it is chosen")
    wanted = set(users)
    chosen = [line for line in lines if line.user_id in wanted]
    if missing := sorted(wanted - {line.user_id for line in chosen}):
        mine = OrderLine.select().join(Subscription).join(User)
        if not mine.where((OrderLine.order == order) & (User.key == missing[0])).exists():
            raise NotFound(
                f"order {order.number} is not for {missing[0]}: smartsub order {order.number} lists its people"
            )
        raise Refused(f"order {order.number} cannot be taken back for {missing[0]}: that was done already")
    return chosen


def _held(subscriptions: Collection[int]) -> dict[int, str]:
    """Which open order holds each of these subscriptions, by its number."""
    found: dict[int, str] = {}
    for some in _chunks(sorted(subscriptions)):
        found.update(
            rows(Claim.select(Claim.subscription, Order.number).join(Order).where(Claim.subscription.in_(some)))
        )
    return found


def _refuse_held(order: Order, chosen: Sequence[_Line]) -> None:
    held = _held({line.subscription for line in chosen})
    holding = [(line.user_id, held[line.subscription]) for line in chosen if line.subscription in held]
    if holding:
        user_id, number = holding[0]
        more = f" (and {len(holding) - 1} more)" if len(holding) > 1 else ""
        raise Refused(
            f"order {order.number} cannot be taken back: order {number} holds {user_id}{more}:"
            " cancel it first, or leave them out"
        )


def _chunks(values: Sequence[int]) -> Iterable[Sequence[int]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


# Dates


def _dates_with(subscriptions: Collection[int]) -> dict[int, Dates]:
    """The dates of these subscriptions as they are."""
    columns = (Subscription.activated_on, Subscription.expires_on, Subscription.anchor_day)
    return _read_dates(subscriptions, columns)


def _dates_without(order: Order, subscriptions: Collection[int]) -> dict[int, Dates | None]:
    """The dates of these subscriptions as they are without the lines of `order`; None where they stand on one."""
    opening = _read_dates(
        subscriptions,
        (Subscription.opening_activated_on, Subscription.opening_expires_on, Subscription.opening_anchor_day),
    )
    entries = _entries(order, subscriptions)

    @cache  # the people of an office share few histories
    def replay(opening: Dates, entries: tuple[Entry, ...]) -> Dates | None:
        return ledger.replay(opening, entries)

    return {key: replay(dates, tuple(entries[key])) for key, dates in opening.items()}


def _read_dates(subscriptions: Collection[int], columns: Sequence[Any]) -> dict[int, Dates]:
    dates_of = cache(Dates)
    return {
        key: dates_of(*dates)
        for some in _chunks(sorted(subscriptions))
        for key, *dates in rows(Subscription.select(Subscription.id, *columns).where(Subscription.id.in_(some)))
    }


def _entries(order: Order, subscriptions: Collection[int]) -> defaultdict[int, list[Entry]]:
    """What stands of each subscription's lines without those of `order`, in the order in which they were applied.

    An order is applied in the transaction that issues its invoice, whose row ids go up even where a clock goes back.
    """
    stored: list[tuple[int, int, Any]] = []
    for some in _chunks(sorted(subscriptions)):
        found = (
            OrderLine.select(
                Invoice.id,
                OrderLine.order,
                OrderLine.subscription,
                OrderLine.action,
                OrderLine.days,
                OrderLine.previous_expiry,
                OrderLine.applied_on,
                OrderLine.lapsed,
            )
            .join(Invoice, on=((Invoice.order == OrderLine.order) & (Invoice.kind == InvoiceKind.INVOICE)))
            .where(
                OrderLine.subscription.in_(some)
                & (OrderLine.order != order)
                & OrderLine.applied_on.is_null(False)
                & OrderLine.credit_note.is_null()
            )
        )
        stored += ((applied, of, line) for applied, of, *line in rows(found))
    stored.sort(key=lambda each: each[0])
    orders = {
        each.id: each
        for some in _chunks(sorted({of for _, of, _ in stored}))
        for each in Order.select().where(Order.id.in_(some))
    }

    @cache
    def entry(of: int, action: LineAction, days: int | None, previous: Any, applied_on: date, lapsed: Lapsed) -> Entry:
        bought = orders[of]
        if days is not None:
            days = ledger.days_bought(days, bought.until, previous, applied_on, lapsed)
        return Entry(term=term_of(bought, action), applied_on=applied_on, lapsed=lapsed, days=days)

    entries: defaultdict[int, list[Entry]] = defaultdict(list)
    for _, of, (subscription, *line) in stored:
        entries[subscription].append(entry(of, *line))
    return entries


def _put(order: Order, dates: Mapping[int, tuple[Dates, Dates]]) -> None:
    """Give subscriptions (by row id) other dates where they still are as they were read; else refuse it as a whole."""
    alike: dict[tuple[Dates, Dates], list[int]] = defaultdict(list)
    for key, change in dates.items():
        alike[change].append(key)
    for (before, after), keys in alike.items():
        for some in _chunks(keys):
            as_read = (
                Subscription.activated_on.is_null()
                if before.activated_on is None
                else (
                    (Subscription.activated_on == before.activated_on)
                    & (Subscription.expires_on == before.expires_on)
                    & (Subscription.anchor_day == before.anchor_day)
                )
            )
            moved = Subscription.update(**asdict(after)).where(Subscription.id.in_(some) & as_read).execute()
            _expect(order, moved, len(some))


def _take_back(order: Order, note: Invoice, lines: Collection[int]) -> None:
    for some in _chunks(sorted(lines)):
        stands = OrderLine.credit_note.is_null()
        taken = OrderLine.update(credit_note=note.id).where(OrderLine.id.in_(some) & stands).execute()
        _expect(order, taken, len(some))


def _settle_contest(change: Change, order: Order) -> None:
    """With all of an order taken back it no longer matters whether its money was ever there."""
    contested = (Payment.order == order) & Payment.applied & Payment.contested
    Payment.update(contested=False, changed_at=change.now).where(contested).execute()


def _expect(order: Order, changed: int, expected: int) -> None:
    if changed != expected:
        raise Refused(f"order {order.number} was changed by someone else meanwhile: look at it again")


def _span(days: Iterable[date | None]) -> str:
    """Days in short: the only one, or the first and the last; of ten thousand lines, each stands in the credit note."""
    texts = sorted({"inactive" if day is None else day.isoformat() for day in days})
    return texts[0] if len(texts) == 1 else f"{texts[0]}..{texts[-1]}"


# Money


class _RateTax(Struct, frozen=True):
    rate_ppm: int
    tax: int


class _Taxed(Struct, frozen=True):
    """What is read of a snapshot for its tax."""

    tax: tuple[_RateTax, ...]


class _Invoiced(Struct, frozen=True):
    """What is read of a snapshot for its lines."""

    lines: tuple[SnapshotLine, ...]


def _invoice_of(order: Order) -> Invoice:
    found: Invoice = Invoice.get((Invoice.order == order) & (Invoice.kind == InvoiceKind.INVOICE))
    return found


def _tax_left(order: Order, invoice: Invoice) -> dict[int, int]:
    """The tax of an order's invoice by rate, less what credit notes have taken back of it."""
    left = {each.rate_ppm: each.tax for each in json.decode(invoice.snapshot, type=_Taxed).tax}
    # An imported order states its total: by rates, its tax may be a minor unit off what it is in sum.
    most = max(left, key=lambda rate: left[rate])
    left[most] += invoice.tax - sum(left.values())
    notes = Invoice.select(Invoice.snapshot).where((Invoice.order == order) & (Invoice.kind == InvoiceKind.CREDIT_NOTE))
    for (snapshot,) in rows(notes):
        for each in json.decode(snapshot, type=_Taxed).tax:
            left[each.rate_ppm] -= each.tax
    return left


def _taken(stands: Iterable[tuple[bool, int, int]], tax_left: Mapping[int, int]) -> Totals:
    """What is taken back of lines that stand, each (taken, net, rate in ppm), by the tax that is left."""
    taking: dict[int, int] = {}
    staying: dict[int, int] = defaultdict(int)
    for taken, amount, rate in stands:
        if taken:
            taking[rate] = taking.get(rate, 0) + amount
        else:
            staying[rate] += amount
    by_rate = {
        rate: (net, tax_left[rate] - min(tax_left[rate], round_half_up(staying[rate] * rate, PPM)))
        for rate, net in sorted(taking.items())
    }
    return Totals(sum(net for net, _ in by_rate.values()), sum(tax for _, tax in by_rate.values()), by_rate)


def _as_invoiced(
    invoice: Invoice, chosen: Sequence[_Line], dates: Mapping[int, tuple[Dates, Dates]]
) -> list[CreditedLine]:
    """The lines as they stand on the invoice, each with what its subscription's dates become."""
    known = {(line.user_id, line.service): line for line in json.decode(invoice.snapshot, type=_Invoiced).lines}
    return [
        CreditedLine(
            **asdict(known[line.user_id, line.service]),
            expiry_before=dates[line.subscription][0].expires_on,
            expiry_after=dates[line.subscription][1].expires_on,
        )
        for line in chosen
    ]
