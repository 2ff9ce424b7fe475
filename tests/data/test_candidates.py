"""The people of an office whom an order may be for: pages of a keyset put together are the list, from both ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartsub_tui.billing import orders
from smartsub_tui.data import queries
from smartsub_tui.data.database import Database
from smartsub_tui.data.filters import Moment, parse_users
from smartsub_tui.data.keyset import Cursor
from smartsub_tui.data.models import Office, User
from smartsub_tui.data.queries import Candidates
from smartsub_tui.data.vocabulary import OrderStatus, UserKind
from tests.support import NOW, SETTINGS, TODAY, add_office, add_order, add_person, memory_database

MOMENT = Moment(NOW, "UTC")
FILTERS = ("", "state:expiring,expired", "department:East -kind:property_manager", "1", "order:none", "state:removed")


@pytest.fixture(scope="module", autouse=True)
def database() -> Iterator[Database]:
    """Eighty people with few names, so that the ends of pages fall among equal ones, and others in another office."""
    held, chance = memory_database(), Random(5)
    with held.writing():
        oak, elm = add_office("Oak"), add_office("Elm")
        made = []
        for place in range(100):
            until = None if chance.random() < 0.3 else TODAY + timedelta(days=chance.randrange(-40, 90))
            made.append(
                add_person(
                    oak if place % 5 else elm,
                    f"u{place}",
                    name=chance.choice(("Änne", "anne", "Bob", "王冬梅", "Zoe 1")),
                    department=chance.choice(("East", "West")),
                    kind=chance.choice(list(UserKind)),
                    expires_on=until,
                    removed_on=TODAY if chance.random() < 0.1 else None,
                )
            )
        add_order(oak, [each for each in made if each.user.office == oak][:9], OrderStatus.SYSTEM_PROCESSING)
    yield held
    held.close()


def office() -> Office:
    return queries.find_office("Oak")


@st.composite
def lists(draw: st.DrawFn) -> tuple[Candidates, str]:
    named = draw(st.sampled_from([None, ("East",), ("West", "East"), ()]))
    among = Candidates(office().id, activated=draw(st.booleans()), additional=draw(st.booleans()), departments=named)
    return among, draw(st.sampled_from(FILTERS))


def plain(among: Candidates, text: str) -> list[str]:
    """The same by the rules of ordering, and sorted here."""
    found = orders.candidates(
        office(), parse_users(text), NOW, SETTINGS, activated=among.activated, additional=among.additional
    )
    names = {user.id: (user.name_folded, user.id) for user in User.select()}
    here = [each for each in found if among.departments is None or each.department in among.departments]
    return [each.id for each in sorted(here, key=lambda each: names[each.pk])]


@given(lists(), st.integers(1, 17))
@settings(deadline=None, max_examples=60)
def test_pages_put_together_are_the_list(chosen: tuple[Candidates, str], limit: int) -> None:
    among, text = chosen
    filter_, whole = parse_users(text), plain(*chosen)
    assert queries.count_candidates(among, filter_, MOMENT) == len(whole)
    forward: list[str] = []
    after: Cursor | None = None
    while (page := queries.search_candidates(among, filter_, MOMENT, limit=limit, after=after)).rows:
        assert queries.count_candidates(among, filter_, MOMENT, before=page.cursors[0]) == len(forward)
        assert queries.search_candidates(among, filter_, MOMENT, limit=limit, at=page.cursors[0]) == page
        forward += [user.id for user in page.rows]
        after = page.cursors[-1]
    assert forward == whole
    backward: list[str] = []
    page = queries.search_candidates(among, filter_, MOMENT, limit=limit, last=True)
    while page.rows:
        backward = [user.id for user in page.rows] + backward
        page = queries.search_candidates(among, filter_, MOMENT, limit=limit, before=page.cursors[0])
    assert backward == whole
