"""The triage queue is what its filters list, each order once and at its worst, the most urgent first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartsub_tui.data import triage
from smartsub_tui.data.database import Database
from smartsub_tui.data.filter_meaning import matches_order, matches_user
from smartsub_tui.data.filters import Moment, parse_orders, parse_users
from smartsub_tui.data.models import Order, Payment
from smartsub_tui.data.money import Money
from smartsub_tui.data.triage import (
    FILTERS,
    OF_ORDERS,
    ItemKey,
    Part,
    Queue,
    QueuedOffice,
    QueuedOrder,
    read_queue,
)
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, Rank, UserKind
from tests.data.test_filter_sql import CLOCKS_CHANGE, THREE_DATES, World, insert, make_world
from tests.support import (
    NOW,
    TODAY,
    add_community,
    add_office,
    add_order,
    add_payment,
    add_people,
    add_person,
    memory_database,
)

MOMENT: Final = Moment(NOW, "UTC")
WORLDS: Final = {"Oak": THREE_DATES, "Ash": CLOCKS_CHANGE, "Elm": THREE_DATES, "Yew": THREE_DATES}


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = make_world(f"queue {request.param}", WORLDS[request.param])
    database = memory_database()
    with database.writing():
        insert(made)
    yield made
    database.close()


def part(queue: Queue, rank: Rank) -> Part:
    return next(each for each in queue.parts if each.rank is rank)


def orders(queue: Queue, rank: Rank) -> list[QueuedOrder]:
    return [item for item in part(queue, rank).items if isinstance(item, QueuedOrder)]


def offices(queue: Queue) -> list[QueuedOffice]:
    return [item for item in part(queue, Rank.EXPIRING).items if isinstance(item, QueuedOffice)]


def keys(queue: Queue) -> list[ItemKey]:
    return [item.key for item in queue.items]


# --- What stands in it


def test_each_rank_is_its_filter_less_the_ranks_before_it(world: World) -> None:
    """By the plain meaning of the filters, not by their SQL."""
    queue, worse = read_queue(world.moment), set[str]()
    assert [each.rank for each in queue.parts] == list(Rank)
    for rank in OF_ORDERS:
        chosen = parse_orders(FILTERS[rank])
        listed = {order.number for order in world.orders if matches_order(chosen, order, world.moment)}
        found = [item.number for item in orders(queue, rank)]
        assert len(set(found)) == len(found)
        assert set(found) == listed - worse, rank
        assert part(queue, rank).count == part(queue, rank).number == len(found)
        worse |= listed
    assert worse


def test_the_last_rank_is_the_people_of_its_filter_by_office(world: World) -> None:
    chosen = parse_users(FILTERS[Rank.EXPIRING])
    people = [user for user in world.users if matches_user(chosen, user, world.moment)]
    assert people
    queue = read_queue(world.moment)
    assert part(queue, Rank.EXPIRING).number == len(people)
    assert part(queue, Rank.EXPIRING).count == len({user.office for user in people})
    for item in offices(queue):
        theirs = [user for user in people if user.office == item.office]
        assert item.people == len(theirs)
        assert item.family == sum(user.kind is UserKind.FAMILY for user in theirs)
        assert item.first == min(user.expires_on for user in theirs if user.expires_on)
        assert {user.timezone for user in theirs} == {item.timezone}


def test_the_worlds_have_something_at_every_rank() -> None:
    """Else the properties above would say nothing."""
    seen = set()
    for name, now in WORLDS.items():
        world = make_world(f"queue {name}", now)
        for rank in OF_ORDERS:
            chosen = parse_orders(FILTERS[rank])
            seen |= {rank for order in world.orders if matches_order(chosen, order, world.moment)}
    assert seen == set(OF_ORDERS)


# --- In which order


def test_within_a_rank_the_most_urgent_stands_first(world: World) -> None:
    queue = read_queue(world.moment)
    for rank in OF_ORDERS:
        urgent = [(item.at, item.pk) for item in orders(queue, rank)]
        assert urgent == sorted(urgent)
    people = [(item.first, -item.people) for item in offices(queue)]
    assert people == sorted(people)


def test_at_is_since_when_or_until_when(database: Database) -> None:
    oak = add_office()
    people = add_people(oak, *"abcdef", expires_on=TODAY + timedelta(days=400))

    def order(place: int, status: OrderStatus, hours: int = 0, **options: object) -> Order:
        created = NOW - timedelta(hours=hours)
        return add_order(oak, people[place : place + 1], status, created_at=created, number=str(place), **options)  # type: ignore[arg-type]

    add_payment(order(0, OrderStatus.SYSTEM_PROCESSING, 3), PaymentState.UNKNOWN)
    order(1, OrderStatus.SYSTEM_PROCESSING, 2)
    late = order(2, OrderStatus.TIME_OUT, 50)
    for amount, hours in ((7, 5), (9, 6)):
        came = add_payment(late, PaymentState.SUCCEEDED, ProviderName.MANUAL, amount=amount)
        Payment.update(changed_at=NOW - timedelta(hours=hours)).where(Payment.id == came).execute()
    order(3, OrderStatus.FAILED, 20)
    order(4, OrderStatus.PROCESSING, 1, pay_by=NOW + timedelta(minutes=90))
    order(5, OrderStatus.PROCESSING, 1, pay_by=NOW + timedelta(minutes=30))
    queue = read_queue(MOMENT)
    assert [(each.number, each.asked) for each in orders(queue, Rank.UNKNOWN)] == [
        ("0", ProviderName.STRIPE),
        ("1", None),
    ]
    (waits,) = orders(queue, Rank.UNAPPLIED)
    assert waits.at == NOW - timedelta(hours=6)
    assert waits.waiting == (Money(7, "EUR"), Money(9, "EUR"))
    (failed,) = orders(queue, Rank.FAILED)
    assert failed.at == NOW - timedelta(hours=20)
    assert failed.pay_by == NOW + timedelta(hours=4)
    assert [each.number for each in orders(queue, Rank.TIMING_OUT)] == ["5", "4"]
    assert orders(queue, Rank.TIMING_OUT)[0].at == NOW + timedelta(minutes=30)


def test_what_is_due_is_not_about_to_time_out(database: Database) -> None:
    oak = add_office()
    (person,) = add_people(oak, "a", expires_on=TODAY + timedelta(days=400))
    add_order(oak, [person], OrderStatus.PROCESSING, pay_by=NOW - timedelta(minutes=1))
    assert read_queue(MOMENT).total == 0


def test_an_order_stands_once_at_its_worst(database: Database) -> None:
    oak = add_office()
    one, other = add_people(oak, "a", "b", expires_on=TODAY + timedelta(days=400))
    failed = add_order(oak, [one], OrderStatus.FAILED)
    add_payment(failed, PaymentState.SUCCEEDED, ProviderName.MANUAL, amount=1)
    both = add_order(oak, [other], OrderStatus.SYSTEM_PROCESSING)
    add_payment(both, PaymentState.UNKNOWN)
    add_payment(both, PaymentState.SUCCEEDED, ProviderName.MANUAL, amount=1)
    assert keys(read_queue(MOMENT)) == [(Rank.UNKNOWN, both.id), (Rank.UNAPPLIED, failed.id)]


# --- Much of it


def test_the_first_of_a_rank_are_read_and_all_are_counted(database: Database) -> None:
    with database.writing():
        for place in range(5):
            for add in (add_office, add_community):
                name = f"{add.__name__} {place}"
                expires = TODAY + timedelta(days=place)
                office = add(name)
                add_people(office, name, f"{name} too", expires_on=expires)
                add_person(office, f"{name} also", kind=UserKind.FAMILY, expires_on=expires)
                add_order(office, [], OrderStatus.FAILED, created_at=NOW - timedelta(days=place))
    with patch.object(triage, "MOST", 4):
        queue = read_queue(MOMENT)
        assert [len(each.items) for each in queue.parts] == [0, 0, 4, 0, 4]
        assert [each.count for each in queue.parts] == [0, 0, 10, 0, 10]
        assert [each.number for each in queue.parts] == [0, 0, 10, 0, 30]
        assert (offices(queue)[0].people, offices(queue)[0].family) == (3, 1)
        assert queue.total == 20
        # An item is told by its place among all, also among those that are not shown.
        assert [queue.place(key) for key in keys(queue)] == [1, 2, 3, 4, 11, 12, 13, 14]
        with pytest.raises(KeyError):
            queue.place((Rank.UNKNOWN, 1))
        # What is put off makes room for those behind it.
        first, second, third, *_ = keys(queue)
        after = read_queue(MOMENT, [second, first])
        assert keys(after)[0] == third
        assert {first, second}.isdisjoint(keys(after))
        assert len(part(after, Rank.FAILED).items) == 4
        assert after.total == 20


# --- Later, and on


def queues() -> st.SearchStrategy[Queue]:
    """Queues of some of twelve orders, each at one rank."""
    return st.dictionaries(st.integers(0, 11), st.sampled_from(OF_ORDERS)).map(of)


def of(placed: dict[int, Rank]) -> Queue:
    parts = []
    for rank in Rank:
        items = tuple(
            QueuedOrder(
                rank=rank,
                pk=pk,
                number=str(pk),
                office="Oak",
                status=OrderStatus.FAILED,
                total=Money(1, "EUR"),
                at=NOW,
                pay_by=None,
                asked=None,
            )
            for pk, here in placed.items()
            if here is rank
        )
        parts.append(Part(rank, items, len(items), len(items)))
    return Queue(tuple(parts))


@given(queues(), st.lists(st.tuples(st.sampled_from(OF_ORDERS), st.integers(0, 11)), max_size=8, unique=True))
def test_what_is_put_off_comes_last_of_its_rank_in_the_order_in_which_it_was(
    queue: Queue, later: list[ItemKey]
) -> None:
    after = queue.put_off(later)
    assert after.total == queue.total
    for before, now in zip(queue.parts, after.parts, strict=True):
        was, is_ = [item.key for item in before.items], [item.key for item in now.items]
        assert is_ == [key for key in was if key not in later] + [key for key in later if key in was]


@given(queues(), queues(), st.data())
def test_the_cursor_stays_or_goes_on_never_back_to_the_top(old: Queue, new: Queue, data: st.DataObject) -> None:
    was, left = keys(old), keys(new)
    key = data.draw(st.sampled_from(was)) if was else None
    to = new.following(key, old)
    if not left:
        assert to is None
    elif key in left or key is None:
        assert to == (key or left[0])
    else:
        place = was.index(key)
        onward = [each for each in was[place:] if each in left]
        back = [each for each in was[:place] if each in left]
        assert to == (onward[0] if onward else back[-1] if back else left[0])


def test_who_was_nowhere_begins_at_the_top() -> None:
    queue = of({3: Rank.FAILED, 1: Rank.UNKNOWN})
    assert queue.following(None, Queue()) == (Rank.UNKNOWN, 1)
    assert Queue().following((Rank.UNKNOWN, 1), queue) is None
    # In another rank it is another thing to do: the next one of the old rank follows.
    moved = of({1: Rank.FAILED, 3: Rank.FAILED, 2: Rank.UNKNOWN})
    before = of({1: Rank.UNKNOWN, 2: Rank.UNKNOWN, 3: Rank.FAILED})
    assert moved.following((Rank.UNKNOWN, 1), before) == (Rank.UNKNOWN, 2)
