"""Orders: who can be in one, what it costs, and making it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Final

from msgspec import Struct
from peewee import fn

from smartsub_tui.billing import payments, terms
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import Change, perform
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.invoices import NO_REFERENCES, BuyerReferences
from smartsub_tui.billing.pricing import PriceList, Totals, load_prices, totals
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Dates, FirstTerm, Months, Term, Until
from smartsub_tui.clock import local_date
from smartsub_tui.config import Settings
from smartsub_tui.data import queries
from smartsub_tui.data.database import rows
from smartsub_tui.data.filters import Filter, Moment
from smartsub_tui.data.models import Claim, Office, Order, OrderLine, Subscription, User
from smartsub_tui.data.money import LARGEST, Money
from smartsub_tui.data.order_records import OrderDetails, Skipped
from smartsub_tui.data.records import UserRecord
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import (
    LineAction,
    OfficeKind,
    OrderStatus,
    OrderType,
    Service,
    SubscriptionState,
    Trigger,
    UserKind,
)
from smartsub_tui.errors import Refused

EVERYONE: Final = Filter("users", ())  # but removed people, whom only state:removed lets through
_NUMBER_LENGTH: Final = 20  # YYYYMMDDHHMMSS and six digits
_NUMBERS_PER_SECOND: Final = 1_000_000
_CHUNK: Final = 500  # values of one IN


class PlannedLine(Struct, frozen=True, gc=False):
    """One person in an order that is not made yet: price in minor units, dates as if paid today."""

    user: UserRecord
    dates: Dates  # before
    action: LineAction
    days: int | None
    amount: int
    tax_rate_ppm: int
    new_expiry: date


class Plan(Struct, frozen=True):
    """An order before it is made: its lines, what they cost, and who is left out and why."""

    lines: tuple[PlannedLine, ...]
    skipped: tuple[Skipped, ...]
    totals: Totals
    currency: str


class NewOrder(Struct, frozen=True, kw_only=True):
    """The result of activate, renew and again."""

    order: OrderDetails
    skipped: tuple[Skipped, ...]


# Planning: reads only


def check_until(day: date, kind: OfficeKind, today: date) -> None:
    """Refuse a renewal to `day` in an office, to a day that is not later than today, or past 60 months from today."""
    if kind is not OfficeKind.COMMUNITY:
        raise Refused("only a community renews to a date: give a number of months")
    if day <= today:
        raise Refused(f"{day.isoformat()} is not later than today, {today.isoformat()}: choose a later day")
    latest = terms.latest_until(today)
    if day > latest:
        raise Refused(f"{day.isoformat()} is more than 60 months from today: choose {latest.isoformat()} or earlier")


def plan(
    people: Sequence[UserRecord], term: Term, kind: OfficeKind, prices: PriceList, today: date, settings: Settings
) -> Plan:
    """Price every person's line and find who cannot be in the order; `today` is local to the office."""
    lapsed = settings.orders.lapsed

    # The people of an office share few dates, so few lines differ but in whom they are for.
    @cache
    def objection(dates: Dates) -> str | None:
        return terms.objection(dates, term, today, None)

    @cache
    def bought(service: Service, dates: Dates) -> tuple[LineAction, int | None, int, int, date]:
        price = prices.find(service, term.action, kind, today)
        days = terms.days_to(dates, term.day, today, lapsed) if isinstance(term, Until) else None
        count = days if days is not None else term.months if isinstance(term, Months) else 1
        new = terms.extend(dates, term, today, lapsed)
        assert new.expires_on is not None  # noqa: S101 - for the type: extend always sets it
        return term.action, days, price.amount * count, price.tax_rate_ppm, new.expires_on

    lines, skipped = [], []
    for user in people:
        dates = Dates(user.activated_on, user.expires_on, user.anchor_day)
        reason = "was removed" if user.state is SubscriptionState.REMOVED else objection(dates)
        if reason is None and user.held_by is not None:
            reason = f"is in an open order, {user.held_by}"
        if reason is not None:
            skipped.append(Skipped(user_id=user.id, reason=reason))
            continue
        lines.append(PlannedLine(user, dates, *bought(user.service, dates)))
    return Plan(
        tuple(lines), tuple(skipped), totals((line.amount, line.tax_rate_ppm) for line in lines), prices.currency
    )


def candidates(
    office: Office,
    chosen: Filter | Collection[str],
    now: datetime,
    settings: Settings,
    *,
    activated: bool,
    additional: bool,
) -> list[UserRecord]:
    """The people of `office` whom an activation (not activated) or a renewal (activated) is for.

    Users and property managers, or with `additional` the family members. `chosen` is a filter, or user ids.
    """
    moment = Moment(now, settings.ui.timezone)
    if isinstance(chosen, Filter):
        found = queries.search_users(chosen, moment, office=office.id, limit=None)
    else:
        found = _by_key(office.id, chosen, moment)
    return [
        user
        for user in found
        if (user.kind is UserKind.FAMILY) == additional and (user.expires_on is not None) == activated
    ]


def _by_key(office: int, keys: Collection[str], moment: Moment) -> list[UserRecord]:
    """The people of one office with these user ids, but for removed ones."""
    held = list(dict.fromkeys(keys))
    return [
        user
        for start in range(0, len(held), _CHUNK)
        for user in queries.search_users(EVERYONE, moment, office=office, keys=held[start : start + _CHUNK], limit=None)
    ]


def preview(session: Session, office_name: str, people: Sequence[UserRecord], term: Term, now: datetime) -> Plan:
    """What an order for these people would be, if it were made and paid now; nothing is made."""
    office = queries.find_office(office_name)
    today = local_date(now, office.timezone)
    return plan(people, term, office.kind, load_prices(office.currency), today, session.settings)


# Making


def activate(
    session: Session,
    office_name: str,
    departments: Sequence[str],
    *,
    additional: bool = False,
    paying: payments.Paying | None = None,
    expected: int | None = None,
    references: BuyerReferences = NO_REFERENCES,
    request_id: str | None = None,
    dry_run: bool = False,
) -> NewOrder:
    """Order the activation of everyone inactive in the departments: users and property managers, or family members.

    `expected` is the total that was seen, in minor units. Raises NotFound for the office or a department, Refused where
    nobody is left to activate, or the total is another one now.
    """

    def work(change: Change) -> NewOrder:
        office = queries.find_office(office_name)
        chosen = {queries.find_department(office, name).name for name in departments}
        people = [
            user
            for user in candidates(
                office, EVERYONE, change.now, change.settings, activated=False, additional=additional
            )
            if user.department in chosen
        ]
        term = FirstTerm(change.settings.orders.first_term_months)
        return _create(
            change,
            office,
            people,
            term,
            additional=additional,
            paying=paying,
            expected=expected,
            said=references.columns(),
        )

    arguments = {
        "office": office_name,
        "departments": sorted(set(departments)),
        "additional": additional,
        "paying": paying,
        **references.arguments(),
    }
    return perform(session, Permission.CREATE, arguments, NewOrder, work, request_id=request_id, dry_run=dry_run)


def renew(
    session: Session,
    office_name: str,
    chosen: Filter | Collection[str],
    term: Months | Until,
    *,
    additional: bool = False,
    paying: payments.Paying | None = None,
    expected: int | None = None,
    references: BuyerReferences = NO_REFERENCES,
    request_id: str | None = None,
    dry_run: bool = False,
) -> NewOrder:
    """Order the renewal of every activated user and property manager (or family member) that was chosen.

    `chosen` is a filter over users, or user ids; `expected` is the total that was seen, in minor units. Raises Refused
    for months out of range, a date in an office or out of range, where nobody is left to renew, and where the total is
    another one now.
    """

    def work(change: Change) -> NewOrder:
        if isinstance(term, Months):
            try:
                terms.check_months(term.months)
            except ValueError as error:
                raise Refused(str(error)) from error
        office = queries.find_office(office_name)
        if isinstance(term, Until):
            check_until(term.day, office.kind, local_date(change.now, office.timezone))
        people = candidates(office, chosen, change.now, change.settings, activated=True, additional=additional)
        # Who was named and is gone meanwhile is told, not passed over.
        named = () if isinstance(chosen, Filter) else sorted(set(chosen) - {user.id for user in people})
        gone = [Skipped(user_id=key, reason="is not, or no longer, among those who can be renewed") for key in named]
        return _create(
            change,
            office,
            people,
            term,
            additional=additional,
            paying=paying,
            gone=gone,
            expected=expected,
            said=references.columns(),
        )

    arguments = {
        "office": office_name,
        "chosen": chosen.describe() if isinstance(chosen, Filter) else sorted(chosen),
        "term": term,
        "additional": additional,
        "paying": paying,
        **references.arguments(),
    }
    return perform(session, Permission.CREATE, arguments, NewOrder, work, request_id=request_id, dry_run=dry_run)


def again(
    session: Session,
    number: str,
    *,
    references: BuyerReferences = NO_REFERENCES,
    request_id: str | None = None,
    dry_run: bool = False,
) -> NewOrder:
    """Order once more, for the same people at today's price, what timed out, failed or was cancelled.

    The buyer's references are those of the earlier order, where none are given.
    """

    def work(change: Change) -> NewOrder:
        order = queries.find_order(number)
        payments.decided(Trigger.AGAIN, order, change)
        if order.until is not None:
            term: Term = Until(order.until)
            check_until(order.until, order.office.kind, local_date(change.now, order.office.timezone))
        elif order.months is not None and order.type is not OrderType.ACTIVATION:
            term = Months(order.months)
        elif order.type is OrderType.SUBSCRIPTION:
            raise Refused(f"order {number} does not say for how long it was: renew its people instead")
        else:
            term = FirstTerm(change.settings.orders.first_term_months)
        keys = [
            key
            for (key,) in rows(
                User.select(User.key)
                .join(Subscription, on=(Subscription.user == User.id))
                .join(OrderLine, on=(OrderLine.subscription == Subscription.id))
                .where(OrderLine.order == order)
                .order_by(OrderLine.id)
            )
        ]
        moment = Moment(change.now, change.settings.ui.timezone)
        people = _by_key(order.office.id, keys, moment)
        gone = [Skipped(user_id=key, reason="was removed") for key in keys if key not in {user.id for user in people}]
        additional = order.type is OrderType.ADDITIONAL_APP
        kept = BuyerReferences(order.po_number, order.buyer_reference)
        made = _create(
            change,
            order.office,
            people,
            term,
            additional=additional,
            made_from=order,
            gone=gone,
            said=kept.columns() | references.columns(),
        )
        change.record(Trigger.AGAIN, order=order.id, after={"made": made.order.number})
        return made

    arguments = {"number": number, **references.arguments()}
    return perform(session, Trigger.AGAIN, arguments, NewOrder, work, request_id=request_id, dry_run=dry_run)


def _create(
    change: Change,
    office: Office,
    people: Sequence[UserRecord],
    term: Term,
    *,
    additional: bool,
    paying: payments.Paying | None = None,
    made_from: Order | None = None,
    gone: Sequence[Skipped] = (),
    expected: int | None = None,
    said: Mapping[str, str],
) -> NewOrder:
    """new -> Processing: prices and tax are frozen, `pay_by` is set, the people are claimed; nothing else moves.

    `said` are the columns of the buyer's references.
    """
    today = local_date(change.now, office.timezone)
    planned = plan(people, term, office.kind, load_prices(office.currency), today, change.settings)
    skipped = (*planned.skipped, *gone)
    if not planned.lines:
        why = (
            f"{skipped[0].user_id} {skipped[0].reason}"
            if skipped
            else "nobody was chosen, for no one matches who can be in it"
        )
        more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
        raise Refused(f"nobody is left to order for: {why}{more}")
    if expected not in (None, planned.totals.total):
        raise Refused(
            f"the total is {Money(planned.totals.total, office.currency)} now, no longer"
            f" {Money(expected or 0, office.currency)}: people or prices changed, look again"
        )
    if planned.totals.total > LARGEST:
        raise Refused(f"the total would be more than {Money(LARGEST, office.currency)}: order for fewer people")
    order = Order.create(
        number=_next_number(change.now),
        office=office,
        type=_type(term, additional=additional),
        status=OrderStatus.PROCESSING,
        status_since=change.now,
        apartments=apartments([line.user for line in planned.lines], office.kind),
        currency=office.currency,
        net=planned.totals.net,
        tax=planned.totals.tax,
        total=planned.totals.total,
        months=term.months if isinstance(term, Months) else None,
        until=term.day if isinstance(term, Until) else None,
        first_term_months=term.months if isinstance(term, FirstTerm) else None,
        created_at=change.now,
        created_by=change.admin.name,
        created_by_folded=folded(change.admin.name),
        pay_by=change.now + change.settings.orders.pay_within,
        made_from=made_from,
        **said,
    )
    database = Order._meta.database
    database.insert_rows(
        [
            OrderLine.order,
            OrderLine.subscription,
            OrderLine.label,
            OrderLine.action,
            OrderLine.days,
            OrderLine.amount,
            OrderLine.tax_rate_ppm,
        ],
        (
            (
                order.id,
                line.user.subscription_pk,
                line.user.name,
                line.action,
                line.days,
                line.amount,
                line.tax_rate_ppm,
            )
            for line in planned.lines
        ),
    )
    # The primary key of a claim decides a race: whoever comes second is refused as a whole.
    Claim.insert_from(
        OrderLine.select(OrderLine.subscription, OrderLine.order).where(OrderLine.order == order),
        [Claim.subscription, Claim.order],
    ).execute()
    change.record(
        "create",
        order=order.id,
        after={
            "status": order.status,
            "lines": len(planned.lines),
            "total": Money(order.total, order.currency),
            "pay_by": order.pay_by,
            **({"made_from": made_from.number} if made_from is not None else {}),
            **said,
        },
    )
    lines = [
        payments.Line(
            line.user.subscription_pk,
            line.action,
            line.amount,
            line.tax_rate_ppm,
            line.user.id,
            line.user.name,
            line.user.department,
            line.user.apartment,
            line.user.service,
            line.dates,
            None,  # nobody is planned for who was removed
        )
        for line in planned.lines
    ]
    if order.total == 0:
        payments.settle_free(change, order, lines, paying)
    elif paying is not None:
        payments.pay_new(change, order, lines, paying)
    return NewOrder(order=read_order(order.number, change.now, change.settings), skipped=skipped)


def _type(term: Term, *, additional: bool) -> OrderType:
    if additional:
        return OrderType.ADDITIONAL_APP
    return OrderType.ACTIVATION if isinstance(term, FirstTerm) else OrderType.SUBSCRIPTION


def _next_number(now: datetime) -> str:
    """UTC YYYYMMDDHHMMSS and six digits that count the orders of that second."""
    second = now.strftime("%Y%m%d%H%M%S")
    stored = (
        Order.select(Order.number)
        .where(Order.number.between(f"{second}000000", f"{second}999999") & (fn.LENGTH(Order.number) == _NUMBER_LENGTH))
        .order_by(Order.number.desc())
    )
    with Order._meta.database.seeing_all():
        # An imported number may be any text: only those of our own form are counted.
        ours = (number for (number,) in rows(stored) if number.isascii() and number.isdigit())
        last = next(ours, None)
    count = 0 if last is None else int(last[len(second) :]) + 1
    if count >= _NUMBERS_PER_SECOND:
        raise Refused("a million orders bear the time of this second: try again in the next")
    return f"{second}{count:06d}"


def apartments(people: Sequence[UserRecord], kind: OfficeKind) -> int:
    """Distinct building and apartment, where a user without an apartment counts as one; in an office, the users."""
    if kind is OfficeKind.OFFICE:
        return len(people)
    shared = {(user.department, user.apartment) for user in people if user.apartment}
    return len(shared) + sum(1 for user in people if not user.apartment)
