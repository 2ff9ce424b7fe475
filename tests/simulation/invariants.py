"""What must hold, whatever happened: after every commit, and when all has settled. The sums and dates are worked out
here in another way than by the rules.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, Final

from smartsub_tui.billing import audit_chain
from smartsub_tui.billing.lifecycle import TABLE
from smartsub_tui.billing.session import Session
from smartsub_tui.data.database import Database
from smartsub_tui.data.models import (
    Admin,
    AuditEvent,
    Invoice,
    Order,
    OrderLine,
    Payment,
    Refund,
    Request,
    Subscription,
)
from smartsub_tui.data.vocabulary import InvoiceKind, Lapsed, LineAction, OrderStatus, PaymentState, RefundState, Role
from tests.billing.paying import WRONG
from tests.support import months_later

_WRONG: Final = (
    *WRONG,
    "SELECT 1 FROM invoice GROUP BY series, year HAVING max(sequence) <> count(*) OR min(sequence) <> 1",
    "SELECT 1 FROM counter c WHERE last <> (SELECT count(*) FROM invoice i WHERE i.series = c.series"
    " AND i.year = c.year)",
    "SELECT id FROM orders o WHERE NOT history AND net <> (SELECT sum(amount) FROM order_line l"
    " WHERE l.order_id = o.id)",
    "SELECT id FROM orders WHERE net + tax <> total",
    "SELECT p.id FROM payment p JOIN orders o ON o.id = p.order_id WHERE applied"
    " AND (p.amount <> o.total OR p.currency <> o.currency OR o.status <> 'succeed')",
    "SELECT o.id FROM orders o JOIN invoice i ON i.order_id = o.id AND i.kind = 'invoice'"
    " WHERE i.net <> o.net OR i.tax <> o.tax OR i.total <> o.total",
    "SELECT p.id FROM payment p JOIN orders o ON o.id = p.order_id WHERE p.state IN ('created', 'sent', 'pending',"
    " 'unknown') AND o.status NOT IN ('processing', 'system_processing')",
    "SELECT r.id FROM refund r JOIN payment p ON p.id = r.payment_id WHERE r.state <> 'declined' AND p.applied"
    " AND r.credit_note_id IS NULL",
    "SELECT p.id FROM payment p WHERE amount < (SELECT sum(amount) FROM refund r WHERE r.payment_id = p.id"
    " AND r.state <> 'declined')",
    "SELECT order_id FROM payment WHERE applied GROUP BY order_id HAVING count(*) > 1",
    "SELECT request_id FROM audit_event WHERE request_id IS NOT NULL GROUP BY request_id, action, subject, order_id"
    " HAVING count(*) > 1 AND action NOT IN ('begin_refund', 'refund', 'time_out')",
)


class Violation(AssertionError):
    """Something that must never be was found."""


def hold(true: object, what: str) -> None:
    if not true:
        raise Violation(what)


def check_commit(database: Database) -> None:
    """What holds after every commit, of the database by itself."""
    connection = database.connection()
    for sql in _WRONG:
        found = connection.execute(sql).fetchall()
        hold(not found, f"{found[:3]}: {sql}")


def check_all(session: Session) -> None:
    """What holds when nobody is in the middle of anything, though not all has settled."""
    check_commit(session.database)
    audit_chain.verify(session)
    _check_dates()
    _check_tax()
    _check_trails()
    _check_credits()
    _check_told()


def _check_dates() -> None:
    """Every subscription stands where its opening state and its lines that stand lead."""
    lines: dict[int, list[Any]] = defaultdict(list)
    line: Any
    for line in OrderLine.select().where(OrderLine.applied_on.is_null(False)).order_by(OrderLine.id):
        if line.credit_note_id is None:
            lines[line.subscription_id].append(line)
    paid_order = {each.id: place for place, each in enumerate(_in_order_of_payment())}
    for subscription in Subscription.select():
        opening = subscription.opening_expires_on
        now = None if opening is None else (opening, subscription.opening_anchor_day or 0)
        for line in sorted(lines[subscription.id], key=lambda each: paid_order[each.order_id]):
            now = _carried_on(now, line)
        stands = subscription.expires_on and (subscription.expires_on, subscription.anchor_day)
        hold(stands == now, f"subscription {subscription.id} stands at {stands}, its ledger leads to {now}")


def _in_order_of_payment() -> list[Order]:
    """Succeeded orders in the order in which they were paid: that of their invoices."""
    found = Invoice.select().where(Invoice.kind == InvoiceKind.INVOICE).order_by(Invoice.id)
    return [invoice.order for invoice in found]


def _carried_on(now: tuple[date, int] | None, line: Any) -> tuple[date, int]:
    order, today = line.order, line.applied_on
    if line.action is LineAction.ACTIVATION:
        hold(now is None, f"line {line.id} activates what is active")
        return months_later(today, order.first_term_months, today.day), today.day
    if now is None:
        raise Violation(f"line {line.id} renews what is inactive")
    start, anchor = now
    if start < today and line.lapsed is not Lapsed.CONTINUOUS:
        start, anchor = today, today.day
    if line.action is LineAction.MONTH:
        return months_later(start, order.months, anchor), anchor
    # What it gave when it was applied counts, where that was more than was priced.
    first = line.previous_expiry
    given = first if first >= today or line.lapsed is Lapsed.CONTINUOUS else today
    days = max(line.days, (order.until - given).days)
    end = min(start + timedelta(days=days), order.until)
    return (end, end.day) if end > now[0] else now


def _check_tax() -> None:
    order: Any
    for order in Order.select().where(~Order.history):
        by_rate: dict[int, int] = defaultdict(int)
        for line in order.lines:
            by_rate[line.tax_rate_ppm] += line.amount
        tax = _tax(by_rate)
        hold(order.tax == tax, f"tax of {order.number} is {order.tax}, not {tax}")


def check_prices(prices: Mapping[LineAction, int]) -> None:
    """Each line is so many times its price, in minor units."""
    line: Any
    for line in OrderLine.select().join(Order).where(~Order.history):
        count = {LineAction.ACTIVATION: 1, LineAction.MONTH: line.order.months, LineAction.DAY: line.days}[line.action]
        hold(line.amount == prices[line.action] * count, f"line {line.id} is {line.amount} for {count} {line.action}")


# What only managers may do, by what the trail calls it; all else people do who are managers or operators.
_OF_ADMINS: Final = {"change_admin", "disable_admin", "enable_admin"}
_OF_EVERYONE: Final = {"save_view", "remove_view"}  # for themselves
_OF_MANAGERS: Final = {"cancel", "delete", "restore", "begin_refund", "refund", "credit", "import", *_OF_ADMINS}
# For what money is taken, up to the limit of who does it.
_LIMITED: Final = {"pay", "bank", "begin_link", "confirm", "apply"}
_MOVES: Final = {(source, row.target) for row in TABLE if row.target is not None for source in row.sources}


def _check_trails() -> None:
    """The trail of each order leads, along the table, to where it is; whoever moved it was allowed to just then."""
    may = _at_first()
    at: dict[int, str | None] = {}
    event: Any
    for event in AuditEvent.select().order_by(AuditEvent.id):
        before, after = (json.loads(each) if each else {} for each in (event.before, event.after))
        _check_allowed(event, after, may[event.admin])
        if event.action in _OF_ADMINS:
            may[event.subject] = after
        if event.order_id is None:
            continue
        source, target = before.get("status"), after.get("status")
        if target is None:
            continue
        known = at.get(event.order_id)
        if source is not None:
            hold(known == source, f"event {event.id} {event.action} is from {source}, where the order was {known}")
        if known is not None and target != known:
            moved = (OrderStatus(known), OrderStatus(target))
            hold(moved in _MOVES, f"event {event.id} {event.action} moves along no row: {moved}")
        at[event.order_id] = target
    for order in Order.select():
        hold(
            at.get(order.id) == order.status.value,
            f"{order.number} is {order.status}, its trail says {at.get(order.id)}",
        )


def _at_first() -> dict[str, dict[str, Any]]:
    """What each admin might before the first change that the trail tells of."""
    may: dict[str, dict[str, Any]] = {}
    event: Any
    for event in AuditEvent.select().where(AuditEvent.action.in_(list(_OF_ADMINS))).order_by(AuditEvent.id):
        may.setdefault(event.subject, json.loads(event.before))
    for each in Admin.select():
        may.setdefault(each.name, {"role": each.role.value, "limits": [], "disabled": each.disabled_at is not None})
    return may


def _check_allowed(event: Any, after: dict[str, Any], who: dict[str, Any]) -> None:
    """Whoever did it could just then: by role, by limit, and not disabled."""
    allowed = {Role.MANAGER} if event.action in _OF_MANAGERS else {Role.MANAGER, Role.OPERATOR}
    if event.action in _OF_EVERYONE:
        allowed = set(Role)
    able = Role(who["role"]) in allowed and not who["disabled"]
    hold(able, f"{event.admin}, {who}, was not allowed to {event.action}")
    # Time is over for the orders of all offices, whoever notices.
    elsewhere = event.order_id is not None and who.get("offices") and event.order.office.name not in who["offices"]
    hold(not elsewhere or event.action == "time_out", f"{event.admin}, {who}, did {event.action} to {event.order_id}")
    if event.action in _LIMITED and who["role"] == Role.OPERATOR.value and who["limits"]:
        most = max(event.order.total, after.get("amount", {}).get("amount", 0))
        limits = [each["amount"] for each in who["limits"] if each["currency"] == event.order.currency]
        hold(most == 0 or (limits and most <= limits[0]), f"{event.admin} took {most}, of {who['limits']}")


def _check_credits() -> None:
    """What credit notes take back is never more than was invoiced, and all of it where no line stands."""
    invoice: Any
    for invoice in Invoice.select().where(Invoice.kind == InvoiceKind.INVOICE):
        notes = list(
            Invoice.select().where((Invoice.order == invoice.order) & (Invoice.kind == InvoiceKind.CREDIT_NOTE))
        )
        taken = sum(each.total for each in notes)
        for place, note in enumerate(notes):
            _check_note(note, {each.id for each in notes[place:]}, {each.id for each in notes[place + 1 :]})
        stands = any(line.credit_note_id is None for line in invoice.order.lines)
        hold(taken <= invoice.total, f"more was taken back of {invoice.number} than it says")
        hold(stands or taken == invoice.total, f"all of {invoice.number} was taken back, but {taken} is not its total")


def _check_note(note: Any, this_and_later: set[int], later: set[int]) -> None:
    """A credit note takes back its lines, of the tax what is less without them, and pays back as much."""
    before: dict[int, int] = defaultdict(int)
    after: dict[int, int] = defaultdict(int)
    for line in note.order.lines:
        if line.credit_note_id is None or line.credit_note_id in this_and_later:
            before[line.tax_rate_ppm] += line.amount
        if line.credit_note_id is None or line.credit_note_id in later:
            after[line.tax_rate_ppm] += line.amount
    net = sum(before.values()) - sum(after.values())
    tax = _tax(before) - _tax(after)
    hold((note.net, note.tax, note.total) == (net, tax, net + tax), f"{note.number} is not {net} and {tax} of tax")
    refunds = list(Refund.select().where(Refund.credit_note == note))
    hold(all(each.amount == note.total for each in refunds), f"{note.number} pays back another amount")
    hold(sum(each.state is not RefundState.DECLINED for each in refunds) <= 1, f"{note.number} pays back twice")
    # Money that someone confirmed and the provider denies is not paid back.
    never_came = AuditEvent.select().where((AuditEvent.order == note.order) & (AuditEvent.action == "contested"))
    hold(refunds or not note.total or never_came.exists(), f"{note.number} pays nothing back")


def _tax(net_by_rate: Mapping[int, int]) -> int:
    return sum((2 * net * rate + 1_000_000) // 2_000_000 for rate, net in net_by_rate.items())


# The events of a command that are not called as it is.
_TOLD_AS: Final = {
    "pay": {"pay", "bank"},
    "link": {"begin_link"},
    "refund": {"refund", "begin_refund"},
    "admins": _OF_ADMINS,
}
# What may find done already what it was to do: the link that is open, the bank transfer that was chosen, the role.
_MAY_BE_DONE: Final = {"link", "pay", "admins"}


def _was_done_already(request: Request) -> bool:
    if request.command == "import":  # of rows that are all here
        return all(each["added"] == each["changed"] == 0 for each in json.loads(request.result)["files"])
    return request.command in _MAY_BE_DONE


def _check_told() -> None:
    """Each request that was carried out has its event, and so has each credit note, and each refund."""
    told: dict[str, set[str]] = defaultdict(set)
    counted: Counter[tuple[str, int]] = Counter()
    event: Any
    for event in AuditEvent.select():
        if event.request_id is not None:
            told[event.request_id].add(event.action)
        counted[event.action, event.order_id] += 1
    for request in Request.select():
        wanted, found = _TOLD_AS.get(request.command, {request.command}), told[request.id]
        as_it_is = found & wanted or (not found and _was_done_already(request))
        hold(as_it_is, f"{request.id}, to {request.command}, is told as {found}")
    of_notes = Counter(each.order.id for each in Invoice.select().where(Invoice.kind == InvoiceKind.CREDIT_NOTE))
    of_refunds = Counter(each.payment.order.id for each in Refund.select())
    for action, counts in (("credit", of_notes), ("begin_refund", of_refunds)):
        of_events = {order: count for (each, order), count in counted.items() if each == action}
        hold(of_events == dict(counts), f"{action}: the trail tells of {of_events}, there are {dict(counts)}")


def check_nothing_waits_for_a_provider() -> None:
    """At the end no refund is under way any more."""
    waiting = [each.id for each in Refund.select().where(Refund.state == RefundState.PENDING)]
    hold(not waiting, f"refunds that are under way for ever: {waiting}")


def check_acknowledged(acknowledged: dict[str, tuple[str, Callable[[], bool]]]) -> None:
    """Nothing that someone was told is done is lost. By request id: what it was, and whether it is still there."""
    for request, (what, is_there) in acknowledged.items():
        hold(is_there(), f"{what} ({request}) was acknowledged, and is gone")


def check_amounts(charges: dict[str, tuple[int, str]]) -> None:
    """What the provider took stands here as it took it, or a person is asked to look at it. By charge: minor units."""
    payment: Any
    for payment in Payment.select().where(Payment.charge.is_null(False) & (Payment.state == PaymentState.SUCCEEDED)):
        taken = charges.get(payment.charge)
        known = (payment.amount, payment.currency.lower())
        hold(payment.contested or taken in (None, known), f"{payment.charge} took {taken}, and stands here as {known}")
