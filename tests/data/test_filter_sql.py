"""The SQL of a filter finds exactly the rows that the plain Python of `filters` says it means."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.clock import local_date
from smartsub_tui.data import filter_sql, models, queries
from smartsub_tui.data.database import rows
from smartsub_tui.data.filter_meaning import (
    OrderFacts,
    PaymentFacts,
    PersonFacts,
    UserFacts,
    matches_order,
    matches_user,
)
from smartsub_tui.data.filter_sql import order_condition, user_condition
from smartsub_tui.data.filters import (
    LONGEST,
    Currency,
    Days,
    Duration,
    Durations,
    Filter,
    Key,
    Moment,
    NearDay,
    Numbers,
    Period,
    Takes,
    Term,
    Text,
    parse_orders,
    parse_users,
)
from smartsub_tui.data.models import (
    Claim,
    Department,
    Invoice,
    Office,
    Order,
    OrderLine,
    Payment,
    Refund,
    Subscription,
    User,
)
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import (
    InvoiceKind,
    OfficeKind,
    OrderStatus,
    OrderType,
    PaymentState,
    ProviderName,
    RefundState,
    Service,
    SubscriptionState,
    UserKind,
)
from tests.data.test_filters import EXAMPLES, keys_of, patterns, ranges, values
from tests.support import memory_database

# --- Worlds: a few rows of everything, made of values that lie close together, so that filters divide them

NAMES: Final = [
    "Oak", "oak", "Oak Hill", "OAK*", "O%k", "O_k", "O\\k", 'O"k"', "O'k", "-Oak", "a,b", "a:b", "[a]?", "100%",
    "İstanbul", "istanbul", "ISTANBUL", "ISSIZ", "ıssız", "Straße", "STRASSE", "ẞ", "é", "e\u0301", "É", "\u0301",
    "Å", "\u212b", "K", "\u212a", "漢字", "\U0010ffff", "a\U0010ffffb", "\ud7ff", "\ue000", "tab\there", "a\nb", " ",
]  # fmt: skip
NUMBERS: Final = [
    "20261122093117000123", "20261122093117000124", "000123", "A-12", "a-12", "AA12", "100%", "1_0", "1\\0", "É1", "é1",
    "x*y", "K1", "\u212a1", "1 2",
]  # fmt: skip
ZONES: Final = ["Europe/Berlin", "UTC", "Pacific/Kiritimati", "Pacific/Niue", "America/St_Johns", "Asia/Kathmandu"]
THREE_DATES: Final = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)  # all over the earth, while it is 10 to 12 in UTC
CLOCKS_CHANGE: Final = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # in Europe, and in the days around in the others
STEPS: Final = [
    timedelta(0),
    timedelta(microseconds=1),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(days=1),
    timedelta(days=7),
    timedelta(days=30),
    timedelta(days=31),
]
# When a status of so long begins or ceases to be a matter of concern.
TURNS: Final = {OrderStatus.FAILED: timedelta(days=-30), OrderStatus.SYSTEM_PROCESSING: timedelta(hours=-1)}
OFFSETS: Final = [0, 1, 2, 7, 8, 29, 30, 31]  # days


class World:
    """No dataclass: Hypothesis would take it apart for its report, and find that a failure draws otherwise then."""

    def __init__(self, seed: str, moment: Moment, users: list[UserFacts], orders: list[OrderFacts]) -> None:
        self.seed, self.moment, self.users, self.orders = seed, moment, users, orders

    def __repr__(self) -> str:
        return f"World({self.seed!r})"


def make_world(seed: str, now: datetime) -> World:
    """Rows that the constraints of the tables allow, with values at, or right beside, the ends of what is asked for."""
    random = Random(seed)

    def instant(step: timedelta | None = None) -> datetime:
        step = random.choice([-1, 1]) * random.choice(STEPS) if step is None else step
        return now + step + timedelta(microseconds=random.choice([-1, 0, 1]))

    def day() -> date:
        return now.date() + random.choice([-1, 1]) * timedelta(days=random.choice(OFFSETS))

    offices = list(zip(random.sample(NAMES, len(ZONES)), ZONES, strict=True))
    users = []
    for key in [*random.sample(NAMES, 30), *(f"{name}{random.choice(NAMES)}" for name in random.sample(NAMES, 30))]:
        office, timezone = random.choice(offices)
        expires_on = random.choice([None, day(), day()])
        users.append(
            UserFacts(
                id=key,
                name=random.choice(NAMES),
                office=office,
                timezone=timezone,
                department=random.choice(NAMES),
                kind=random.choice(list(UserKind)),
                service=random.choice(list(Service)),
                apartment=random.choice([None, *NAMES]),
                activated_on=None if expires_on is None else date(2020, 1, 1),
                expires_on=expires_on,
                removed_on=random.choice([None, None, None, now.date()]),
                held=random.random() < 0.5,
            )
        )
    orders = []
    for number in dict.fromkeys(random.choice(NUMBERS) + random.choice(["", *NUMBERS]) for _ in range(80)):
        status = random.choice(list(OrderStatus))
        history = not status.is_open and random.random() < 0.2
        paid = status is OrderStatus.SUCCEED or (history and random.random() < 0.5)
        people = random.sample(users, random.choice([0, 1, 1, 2, 3]))
        orders.append(
            OrderFacts(
                number=number,
                type=random.choice(list(OrderType)),
                status=status,
                status_since=instant(random.choice([None, TURNS.get(status)])),
                office=random.choice(offices)[0],
                apartments=random.randint(0, 4),
                currency=random.choice(["EUR", "JPY", "KWD", "CLF"]),
                total=random.choice([0, 1, 2, 50, 99, 100, 101, 1_000, 10_000, 100_000]),
                until=random.choice([None, day()]),
                created_at=instant(),
                created_by=random.choice(NAMES),
                pay_by=instant(timedelta(0)) if status is OrderStatus.PROCESSING else random.choice([None, instant()]),
                paid_at=instant() if paid else None,
                late=status is OrderStatus.SUCCEED and random.random() < 0.5,
                history=history,
                deleted=not status.is_open and random.random() < 0.3,
                replaced=random.random() < 0.3,
                people=tuple(PersonFacts(id=each.id, name=each.name, department=each.department) for each in people),
                payments=(payments := make_payments(random)),
                owed=bool(payments) and random.random() < 0.15,
                refund_unsure=bool(payments) and random.random() < 0.15,
            )
        )
    return World(seed, Moment(now, random.choice(ZONES)), users, orders)


def make_payments(random: Random) -> tuple[PaymentFacts, ...]:
    """At most one is live, at most one applied."""
    made: list[PaymentFacts] = []
    for state in random.choices(list(PaymentState), k=random.choice([0, 1, 1, 2, 3])):
        if state.is_live and any(each.state.is_live for each in made):
            continue
        applied = state is PaymentState.SUCCEEDED and random.random() < 0.5 and not any(each.applied for each in made)
        contested = state is PaymentState.SUCCEEDED and random.random() < 0.2
        made.append(
            PaymentFacts(provider=random.choice(list(ProviderName)), state=state, applied=applied, contested=contested)
        )
    return tuple(made)


def add_refunds(row: Order, order: OrderFacts) -> None:
    """Refunds of the last payment: what is owed was tried twice, or once; what is not, came through at last."""
    if not order.payments:
        return
    payment, now = Payment.select().order_by(Payment.id.desc()).get(), row.created_at
    count = Refund.select().count()

    def refund(state: RefundState, credit_note: Invoice | None, ask_at: datetime | None = None) -> None:
        Refund.create(
            payment=payment,
            credit_note=credit_note,
            state=state,
            idempotency_key=f"refund {Refund.select().count()}",
            amount=1,
            currency=row.currency,
            reason="why",
            created_at=now,
            changed_at=now,
            created_by="alice",
            ask_at=ask_at,
        )

    def credit_note() -> Invoice:
        number = Invoice.select().count() + 1
        return Invoice.create(
            order=row,
            kind=InvoiceKind.CREDIT_NOTE,
            number=f"CN-{number}",
            series="CN",
            year=2026,
            sequence=number,
            issued_at=now,
            issued_on=now.date(),
            currency=row.currency,
            net=1,
            tax=0,
            total=1,
            snapshot="{}",
        )

    if order.owed:
        note = credit_note()
        for _ in range(1 + count % 2):
            refund(RefundState.DECLINED, note)
    elif count % 3 == 0:
        note = credit_note()
        refund(RefundState.DECLINED, note)
        refund(RefundState.SUCCEEDED, note)
        refund(RefundState.DECLINED, None)
    if order.refund_unsure:
        # Nobody asks about it any more, or nobody knew the last time it was asked.
        refund(RefundState.PENDING if count % 2 else RefundState.UNKNOWN, None)
    elif count % 5 == 0 and order.payments:
        refund(RefundState.PENDING, None, ask_at=now)


@st.composite
def parts(draw: st.DrawFn) -> str:
    """A part of one of the names or numbers, in any case and composition."""
    text = draw(st.sampled_from(NAMES + NUMBERS))
    start = draw(st.integers(0, len(text) - 1)) if draw(st.booleans()) else 0
    part = text[start : draw(st.integers(start + 1, len(text)))] if draw(st.booleans()) else text[start:]
    match draw(st.sampled_from(["as it is", "upper", "lower", "decomposed"])):
        case "upper":
            return part.upper()
        case "lower":
            return part.lower()
        case "decomposed":
            return unicodedata.normalize("NFD", part)
    return part


def nearby_values(key: Key, now: datetime) -> st.SearchStrategy[Any]:
    """The values of a key that lie where the rows of a world do."""
    near = st.builds(
        lambda days, sign: now + sign * timedelta(days=days), st.sampled_from(OFFSETS), st.sampled_from((-1, 1))
    )
    days = st.sampled_from(NearDay) | near.map(lambda day: Period(day.year, day.month, day.day))
    days |= st.sampled_from([Period(now.year), Period(now.year, now.month), Period(1), Period(9999, 12, 31)])
    lengths = st.builds(Duration, st.sampled_from(OFFSETS), st.sampled_from("dw"))
    match key.takes:
        case Takes.TEXT:
            return patterns(parts())
        case Takes.CURRENCY:
            return st.sampled_from(["EUR", "JPY", "KWD", "CLF", "USD"]).map(Currency)
        case Takes.WHOLE:
            return ranges(Numbers, st.integers(0, 5))
        case Takes.AMOUNT:
            return ranges(Numbers, st.sampled_from([0, 1, 100, 5_000, 9_999, 10_000, 10_001, 100_000, 1_000_000]))
        case Takes.EXPIRY:
            return ranges(Days, days) | ranges(Durations, lengths)
        case Takes.PAST | Takes.AHEAD:
            lengths |= st.builds(Duration, st.sampled_from([0, 1, 2, 30]), st.sampled_from("mh"))
            return ranges(Days, days) | ranges(Durations, lengths).filter(lambda each: each.low != each.high)
        case _:
            return values(key)


@st.composite
def terms(draw: st.DrawFn, key: Key, now: datetime) -> Term:
    several = draw(st.lists(nearby_values(key, now), min_size=1, max_size=3))
    return Term(key.name, tuple(several), draw(st.booleans()))


# --- Rows


def insert(world: World) -> None:
    """The rows of which the world's facts are true; the database holds nothing else."""
    for user in world.users:
        office_of(user.office, user.timezone)
    stored: dict[str, Order] = {}
    keys = count()
    for order in world.orders:
        stored[order.number] = row = Order.create(
            number=order.number,
            office=office_of(order.office),
            type=order.type,
            status=order.status,
            status_since=order.status_since,
            apartments=order.apartments,
            currency=order.currency,
            net=order.total,
            tax=0,
            total=order.total,
            until=order.until,
            created_at=order.created_at,
            created_by=order.created_by,
            created_by_folded=folded(order.created_by),
            pay_by=order.pay_by,
            paid_at=order.paid_at,
            late=order.late,
            history=order.history,
            deleted_at=world.moment.now if order.deleted else None,
        )
        for payment in order.payments:
            Payment.create(
                order=row,
                provider=payment.provider,
                state=payment.state,
                idempotency_key=f"key {next(keys)}",
                amount=order.total,
                currency=order.currency,
                created_at=world.moment.now,
                changed_at=world.moment.now,
                created_by="alice",
                applied=payment.applied,
                contested=payment.contested,
            )
        add_refunds(row, order)
    subscriptions: dict[str, Subscription] = {}
    for user in world.users:
        office = office_of(user.office)
        department = Department.get_or_none(office=office, name=user.department) or Department.create(
            office=office, name=user.department, name_folded=folded(user.department)
        )
        person = User.create(
            key=user.id,
            key_folded=folded(user.id),
            office=office,
            department=department,
            name=user.name,
            name_folded=folded(user.name),
            kind=user.kind,
            apartment=user.apartment,
            removed_on=user.removed_on,
        )
        subscriptions[user.id] = Subscription.create(
            user=person,
            service=user.service,
            activated_on=user.activated_on,
            expires_on=user.expires_on,
            anchor_day=None if user.expires_on is None else 1,
        )
        if user.held:
            Claim.create(subscription=subscriptions[user.id], order=stored[world.orders[0].number])
    for order in world.orders:
        for person_facts in order.people:
            OrderLine.create(order=stored[order.number], subscription=subscriptions[person_facts.id], label="")
    # The next order says that it was made from the one that was replaced.
    for order, following in zip(world.orders, [*world.orders[1:], world.orders[0]], strict=True):
        if order.replaced:
            Order.update(made_from=stored[order.number]).where(Order.number == following.number).execute()


def office_of(name: str, timezone: str = "UTC") -> Any:
    return Office.get_or_none(name=name) or Office.create(
        name=name, name_folded=folded(name), kind=OfficeKind.OFFICE, timezone=timezone, currency="EUR"
    )


def found_orders(chosen: Filter, moment: Moment) -> set[str]:
    # Lists join the office; the condition must not take the joined table for its own.
    query = Order.select(Order.number, Office.name).join(Office).where(order_condition(chosen, moment))
    return {number for number, _ in rows(query)}


def found_users(chosen: Filter, moment: Moment, zones: list[str] | None = None) -> set[str]:
    query = (
        User.select(User.key)
        .join(Subscription)
        .switch(User)
        .join(Office)
        .switch(User)
        .join(Department)
        .where(user_condition(chosen, moment, zones))
    )
    return {key for (key,) in rows(query)}


@pytest.fixture(scope="module", params=["Oak", "Ash"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world of its own seed, and a database of it to which the models are bound."""
    made = make_world(request.param, THREE_DATES if request.param == "Oak" else CLOCKS_CHANGE)
    database = memory_database()
    with database.writing():
        insert(made)
    yield made
    database.close()


# --- The same rows


def assert_same_orders(world: World, chosen: Filter) -> None:
    expected = {order.number for order in world.orders if matches_order(chosen, order, world.moment)}
    assert found_orders(chosen, world.moment) == expected, chosen.describe()


def assert_same_users(world: World, chosen: Filter) -> None:
    expected = {user.id for user in world.users if matches_user(chosen, user, world.moment)}
    assert found_users(chosen, world.moment) == expected, chosen.describe()


ORDER_WORDS: Final = list(keys_of("orders").values())
USER_WORDS: Final = list(keys_of("users").values())


@pytest.mark.parametrize("key", ORDER_WORDS, ids=lambda key: key.name)
@settings(max_examples=EXAMPLES // 3)
@given(data=st.data())
def test_sql_finds_the_orders_that_a_word_means(world: World, key: Key, data: st.DataObject) -> None:
    # With few people or offices and with many the SQL is not the same.
    chosen = Filter("orders", (data.draw(terms(key, world.moment.now)),))
    few = data.draw(st.sampled_from([0, 2, 500]))
    with patch.multiple(filter_sql, FEW_PEOPLE=few, FEW_OFFICES=few):
        assert_same_orders(world, chosen)


@pytest.mark.parametrize("key", USER_WORDS, ids=lambda key: key.name)
@settings(max_examples=EXAMPLES // 3)
@given(data=st.data())
def test_sql_finds_the_users_that_a_word_means(world: World, key: Key, data: st.DataObject) -> None:
    assert_same_users(world, Filter("users", (data.draw(terms(key, world.moment.now)),)))


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_sql_finds_what_several_words_mean(world: World, data: st.DataObject) -> None:
    now = world.moment.now
    several = st.lists(st.sampled_from(ORDER_WORDS).flatmap(lambda key: terms(key, now)), max_size=5)
    assert_same_orders(world, Filter("orders", tuple(data.draw(several))))
    several = st.lists(st.sampled_from(USER_WORDS).flatmap(lambda key: terms(key, now)), max_size=5)
    assert_same_users(world, Filter("users", tuple(data.draw(several))))


def test_every_word_of_a_list_finds_some_and_not_all(world: World) -> None:
    for key in ORDER_WORDS:
        for word in key.words:
            for sign in ("", "-"):
                chosen = parse_orders(f"{sign}{key.name}:{word}")
                assert_same_orders(world, chosen)
                assert 0 < len(found_orders(chosen, world.moment)) < len(world.orders), chosen.describe()
    for key in USER_WORDS:
        for word in key.words:
            for sign in ("", "-"):
                chosen = parse_users(f"{sign}{key.name}:{word}")
                assert_same_users(world, chosen)
                assert 0 < len(found_users(chosen, world.moment)) < len(world.users), chosen.describe()


@pytest.mark.parametrize("world", ["Oak"], indirect=True)
def test_every_name_is_found_by_every_pattern_of_it(world: World) -> None:
    """Wildcards of SQL in the text, at its ends and in the middle, beside those of the language."""
    for name in NAMES:
        half = len(name) // 2
        shapes = [(name,), (name, ""), ("", name), ("", name, "")]
        shapes += [(name[:half], name[half:])] if half else [("", name[half:], "x")]
        for shape in shapes:
            value = (Text(shape),)
            for key in ("", "office", "by"):
                assert_same_orders(world, Filter("orders", (Term(key, value),)))
            for key in ("", "department", "user", "apartment"):
                assert_same_users(world, Filter("users", (Term(key, value),)))


def test_removed_users_are_in_no_other_state(world: World) -> None:
    for state in SubscriptionState:
        for text in (f"state:{state} state:removed", f"-state:{state} state:removed", f"state:{state},removed"):
            assert_same_users(world, parse_users(text))


@pytest.mark.parametrize("mark", ["is:deleted", "is:unknown", "is:unapplied", "is:problem", "is:retry,unapplied"])
def test_marks_that_let_hidden_orders_in_do_so_beside_other_words(world: World, mark: str) -> None:
    for other in ("is:late", "is:retry", "-is:deleted", "-is:problem", "status:failed,cancel", "-status:failed"):
        assert_same_orders(world, parse_orders(f"{mark} {other}"))
    assert_same_orders(world, parse_orders(mark.replace(":", ":late,")))


def test_today_is_asked_with_every_date_on_earth(world: World) -> None:
    moment = Moment(THREE_DATES, "UTC")
    assert len({local_date(moment.now, zone) for zone in ZONES}) == 3
    for text in ("expires:today", "-expires:today", "state:expired", "state:expiring,active", "-state:expiring"):
        chosen = parse_users(text)
        expected = {user.id for user in world.users if matches_user(chosen, user, moment)}
        assert found_users(chosen, moment) == found_users(chosen, moment, ZONES) == expected
        # Of a zone that nobody has named the users have the usual date: they are not left out of both halves.
        usual = {user.id for user in world.users if matches_user(chosen, replace(user, timezone="UTC"), moment)}
        assert found_users(chosen, moment, []) == found_users(chosen, moment, ["UTC"]) == usual


def test_quotes_and_wildcards_in_a_filter_stay_text(world: World) -> None:
    everyone = {order.number for order in world.orders if not order.deleted}
    for hostile in (
        "'",
        "' OR 1=1 --",
        '\\" OR 1=1 --',
        "%",
        "_",
        "\\\\",
        "'); DROP TABLE orders; --",
        "?",
        "%s",
        "{}",
    ):
        for key in ("office", "user", "department", "by"):
            assert found_orders(parse_orders(f'{key}:"{hostile}"'), world.moment) < everyone
            assert found_orders(parse_orders(f'-{key}:"{hostile}*"'), world.moment) <= everyone
    assert found_orders(parse_orders(""), world.moment) == everyone


LONG: Final = {
    "bare words": "a " * (LONGEST // 2),
    "negated words": "-a " * (LONGEST // 3),
    "bare values": "a," * (LONGEST // 2 - 1) + "a",
    "names": "user:" + ",".join(["a*"] * 400),
    "ends of names": "by:" + ",".join(["*a"] * 1300),
    "ages": "created:" + ",".join(["<1d"] * 990),
    "totals": "total:" + ",".join(["1"] * 200),
    "marks": "is:" + ",".join(["due"] * 300),
    "problems": "is:problem " * 50,
    "escapes": "office:*" + "%" * (LONGEST - 8),
    "letters that fold to many": "by:*" + "\U0001d160" * (LONGEST - 4),
}
LONG_OF_USERS: Final = {
    "bare words": "a " * (LONGEST // 2),
    "days": "expires:" + ",".join(["1d"] * 600),
    "states": "state:active " * 100,
    "escapes": "user:*" + "%" * (LONGEST - 6),
}


@pytest.mark.parametrize("world", ["Oak"], indirect=True)
@pytest.mark.parametrize("of", LONG)
def test_a_long_filter_of_orders_is_no_trap(world: World, of: str) -> None:
    assert_same_orders(world, parse_orders(LONG[of]))


@pytest.mark.parametrize("world", ["Oak"], indirect=True)
@pytest.mark.parametrize("of", LONG_OF_USERS)
def test_a_long_filter_of_users_is_no_trap(world: World, of: str) -> None:
    assert_same_users(world, parse_users(LONG_OF_USERS[of]))


# --- Which way the database goes, where it is SQLite's own; test_plans.py has the others


@pytest.mark.sqlite("the ways of its own planner")
@pytest.mark.parametrize("text", ["", "123"])
@pytest.mark.parametrize("read", [queries.count_facets, queries.search_orders])
def test_a_part_of_a_number_is_sought_and_counted_in_an_index_alone(
    world: World, text: str, read: Callable[[Filter, Moment], object]
) -> None:
    database = models.proxy.obj
    with patch.object(database, "execute_sql", wraps=database.execute_sql) as execute:
        read(parse_orders(text), world.moment)
        sql, values = execute.call_args_list[0].args
    way = [step[3] for step in database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()]
    assert "USING COVERING INDEX orders_" in way[0]
