"""Renew and Activate over thousands of people: a window of them, all of them marked, and walking while others write.

What stands on the screen is held against one plain SELECT of everyone, filtered and sorted here in Python.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw
import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.data.models import Office, Subscription, User
from smartsub_tui.data.vocabulary import OrderStatus, Service, UserKind
from smartsub_tui.screens import renew
from smartsub_tui.screens.activate import ActivateScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.question import Question
from smartsub_tui.screens.renew import RenewScreen
from smartsub_tui.widgets.windowed_table import KEPT
from tests.screens.stage import drawn, hold_back, make_database, on_stage, press, reached, settle, toasts, until, write
from tests.screens.test_journey import look
from tests.screens.test_typed_ahead import at_once
from tests.support import MONTH_PRICE, TODAY, add_department, add_office, add_order, gross

WALKS: Final = range(int(os.environ.get("SMARTSUB_WALKS", "1")))
STEPS: Final = 30
PEOPLE: Final = 1300
HELD: Final = 7
HOLDER: Final = "20261101000000000001"
KEYS: Final = ("j", "k", "pagedown", "pagedown", "pagedown", "pageup", "g", "G", "space", "plus", "v")


class Stored(NamedTuple):
    id: int
    key: str
    name: str
    family: bool
    department: str
    expires_on: str | None


FILTERS: Final[dict[str, Callable[[Stored], bool]]] = {
    "": lambda user: True,
    "state:expired": lambda user: str(user.expires_on) < TODAY.isoformat(),
    "department:East -kind:property_manager": lambda user: user.department == "East",
    "7": lambda user: "7" in user.key or "7" in user.name,
    "nobody-is-called-so": lambda user: False,
}


def fill() -> None:
    """An office of many people, whose names are few; open orders hold the first of those who can be renewed."""
    oak, chance = add_office("Oak House"), random.Random(11)
    parts = [add_department(oak, name).id for name in ("East", "West")]
    users: list[tuple[Any, ...]] = []
    subscriptions: list[tuple[Any, ...]] = []
    for pk in range(1, PEOPLE + 1):
        kind = UserKind.FAMILY if chance.random() < 0.2 else UserKind.USER
        name = f"Person {chance.randrange(PEOPLE // 3):03}"
        users.append((pk, f"u{pk}", f"u{pk}", oak.id, chance.choice(parts), name, name.lower(), "", kind))
        day = TODAY + timedelta(days=chance.randrange(-60, 300))
        dates = (None, None, None) if chance.random() < 0.1 else (TODAY, day, day.day)
        subscriptions.append((pk, pk, Service.ADDITIONAL_APP if kind is UserKind.FAMILY else Service.APP, *dates))
    database = Office._meta.database
    columns = (User.id, User.key, User.key_folded, User.office, User.department)
    database.insert_rows([*columns, User.name, User.name_folded, User.email, User.kind], users)
    database.insert_rows(
        [
            Subscription.id,
            Subscription.user,
            Subscription.service,
            Subscription.activated_on,
            Subscription.expires_on,
            Subscription.anchor_day,
        ],
        subscriptions,
    )
    can = Subscription.select().join(User).where((User.kind == UserKind.USER) & Subscription.expires_on.is_null(False))
    held = list(can.order_by(User.name_folded, User.id).limit(HELD))
    add_order(oak, held, OrderStatus.SYSTEM_PROCESSING, number=HOLDER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


class Other:
    """Another process that brings people and takes people away."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self._connection, self._chance, self._made = apsw.Connection(str(path)), chance, 0

    def read(self) -> list[Stored]:
        sql = """SELECT users.id, key, users.name, users.kind = 'family', department.name, expires_on FROM users
            JOIN department ON department.id = department_id JOIN subscription ON user_id = users.id
            WHERE removed_on IS NULL ORDER BY users.name_folded, users.id"""
        return [Stored(*row) for row in self._connection.execute(sql)]

    def change(self) -> None:
        chosen = self._chance.choice(self.read())
        match self._chance.randrange(3):
            case 0:
                day = TODAY.isoformat()
                self._connection.execute("UPDATE users SET removed_on = ? WHERE id = ?", (day, chosen.id))
            case 1:
                self.bring(f"person {self._chance.randrange(PEOPLE // 3):03}", chosen.id)
            case _:
                past = (TODAY - timedelta(days=1)).isoformat()
                sql = "UPDATE subscription SET expires_on = ? WHERE user_id = ? AND expires_on IS NOT NULL"
                self._connection.execute(sql, (past, chosen.id))

    def bring(self, name: str, like: int) -> None:
        """Someone new, but for the name like another."""
        self._made += 1
        with self._connection:
            self._connection.execute(
                """INSERT INTO users (key, key_folded, office_id, department_id, name, name_folded, email, kind)
                SELECT ?1, ?1, office_id, department_id, ?2, ?2, '', kind FROM users WHERE id = ?3""",
                (f"new{self._made}", name, like),
            )
            self._connection.execute(
                """INSERT INTO subscription (user_id, service, activated_on, expires_on, anchor_day)
                SELECT last_insert_rowid(), service, activated_on, expires_on, anchor_day
                FROM subscription WHERE user_id = ?""",
                (like,),
            )

    def close(self) -> None:
        self._connection.close()


def here(app: SmartSubApp) -> RenewScreen:
    assert isinstance(app.screen, RenewScreen)
    return app.screen


async def check(app: SmartSubApp, pilot: Pilot[None], other: Other) -> None:
    screen = here(app)
    everyone = [user for user in other.read() if user.family == screen.additional and user.expires_on is not None]
    wanted = [user.key for user in everyone if FILTERS[screen.filter_bar.input.value](user)]
    table = screen.table
    # It is counted after the rows are there; what is drawn may still be the count of the list before.
    await until(pilot, lambda: table.window.total == len(wanted))
    await until(pilot, lambda: f"{len(wanted):,} of {len(everyone):,} " in drawn(app))
    window = table.window
    assert [row.user.id for row in window.rows] == wanted[window.base : window.end]
    assert (window.total, table.row_count) == (len(wanted), len(wanted))
    assert len(window.rows) <= KEPT
    lines = drawn(app).splitlines()
    top = next(place for place, line in enumerate(lines) if line.startswith("  User ")) + 1
    marks = [line[0] == "*" for line in lines[top : top + table.page] if line.strip()]
    assert marks == [key in screen.marked for key in wanted[table.top : table.top + table.page]]
    if wanted:
        assert table.current is not None
        assert table.current.user.id == wanted[table.cursor_row]
        assert table.top <= table.cursor_row < table.top + table.page
        assert f"months {screen.months.value} " in lines[1]
    else:
        assert table.current is None
        assert "Nobody matches." in drawn(app)


@pytest.mark.long
@pytest.mark.parametrize("seed", WALKS)
async def test_what_is_walked_over_is_one_select_whatever_others_do(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    other = Other(path, chance)
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n")
        await check(app, pilot, other)
        for _ in range(STEPS):
            what = chance.random()
            if what < 0.2:
                await press(pilot, "slash", "ctrl+u")
                await write(pilot, chance.choice(list(FILTERS)))
                await press(pilot, "enter")
            elif what < 0.4:
                person, marked = here(app).table.current, set(here(app).marked)
                other.change()
                await app._look_for_changes()
                await settle(pilot)
                await check(app, pilot, other)
                # Neither cursor nor marks move, as long as their people are in the list.
                assert here(app).marked == marked
                if person is not None and person.user.id in {row.user.id for row in here(app).table.window.rows}:
                    assert here(app).table.current.user.id == person.user.id
            else:
                await press(pilot, *[chance.choice(KEYS)] * chance.randrange(1, 4))
            await check(app, pilot, other)
    other.close()


def those(path: Path, *, activated: bool = True, family: bool = False) -> list[Stored]:
    other = Other(path, random.Random(0))
    try:
        return [user for user in other.read() if user.family == family and (user.expires_on is not None) == activated]
    finally:
        other.close()


async def test_the_last_of_all_is_a_key_away_and_nothing_is_cut(path: Path) -> None:
    people = those(path)
    assert len(people) > 900
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n")
        assert f"{len(people):,} of {len(people):,} " in drawn(app)
        assert "shown" not in drawn(app)
        await press(pilot, "G")
        table = here(app).table
        await until(pilot, lambda: table.cursor_row == len(people) - 1)  # how many are before it is counted behind it
        assert table.current.user.id == people[-1].key
        while table.cursor_row:
            await press(pilot, "pageup")
            assert table.current.user.id == people[table.cursor_row].key
            assert len(table.window.rows) <= KEPT


async def test_the_window_stays_small_where_others_bring_people_into_it(path: Path) -> None:
    other = Other(path, random.Random(0))
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n", "G", *["pageup"] * 25)
        table = here(app).table
        person, height = table.current, table.cursor_row - table.top
        before = len(table.window.rows)
        for _ in range(KEPT):
            other.bring(person.user.name.lower(), person.user.pk)
        for _ in range(9):  # and some before all others: the rows of the window have other numbers
            other.bring("a first one", person.user.pk)
        await app._look_for_changes()
        await settle(pilot)
        assert 0 < before <= len(table.window.rows) <= KEPT
        assert (table.current.user.id, table.cursor_row - table.top) == (person.user.id, height)
        await check(app, pilot, other)
    other.close()


async def test_everyone_is_marked_ordered_and_told_wherever_they_stand(path: Path) -> None:
    can = len(those(path)) - HELD
    total = gross(2 * can * MONTH_PRICE)
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n", "A", "plus")
        assert toasts(app) == [f"{can:,} marked, {HELD} more match and cannot be renewed now"]
        await press(pilot, *["j"] * HELD)
        assert f"{can:,} marked   EUR {total / 100:,.2f}" in drawn(app)
        await press(pilot, "G")
        marks = [line[0] for line in drawn(app).splitlines() if "Person" in line]
        assert marks == ["*"] * here(app).table.page
        await press(pilot, "space")
        fewer = gross(2 * (can - 1) * MONTH_PRICE)
        assert f"{can - 1:,} marked   EUR {fewer / 100:,.2f}" in drawn(app)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        assert f"Order the renewal of {can - 1:,} people, 2 months?" in drawn(app)
        assert f"and {can - 5:,} more" in drawn(app)
        await press(pilot, "y")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))
        assert look(path, "SELECT total FROM orders WHERE number <> ?", HOLDER) == fewer
        sql = "SELECT COUNT(*) FROM order_line JOIN orders ON orders.id = order_id WHERE number <> ?"
        assert look(path, sql, HOLDER) == can - 1


async def test_marks_beyond_the_window_stay_and_all_again_takes_them_away(path: Path) -> None:
    people = those(path)
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n", "G", "space", "g", *["j"] * HELD, "space")
        assert here(app).marked == {people[-1].key, people[HELD].key}
        assert f"2 marked   EUR {gross(2 * MONTH_PRICE) / 100:,.2f}" in drawn(app)
        await press(pilot, "A", "A")
        assert here(app).marked == set()
        assert "0 marked" in drawn(app)


async def test_more_than_can_be_marked_are_refused_and_the_marks_stay(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renew, "MOST_MARKED", 100)
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n", "G", "space", "A")
        assert toasts(app)[-1] == "more than 100 can be renewed, so many cannot be marked: narrow the filter"
        assert len(here(app).marked) == 1
        await press(pilot, "slash")
        await write(pilot, "state:expired 77")
        await press(pilot, "enter", "A")
        assert 1 < len(here(app).marked) < 100


async def test_who_is_counted_before_they_are_shown_is_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = those(path)
    async with on_stage(path) as (app, pilot):
        may = hold_back(monkeypatch, "latest", lambda question, _: question == "people")
        at_once(app, "n")
        await reached(pilot, lambda: f"{len(people):,} of {len(people):,} " in drawn(app))
        may.set()
        await settle(pilot)
        assert here(app).table.window.total == len(people)


@pytest.mark.parametrize("key", ["G", "g"])
async def test_a_jump_is_not_cut_short_by_what_is_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    people = those(path)
    other = Other(path, random.Random(0))
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n", *(["G"] if key == "g" else []))
        may = hold_back(monkeypatch, "latest", lambda question, _: question == "people")
        jumps = here(app).table.jumps
        at_once(app, key)
        await reached(pilot, lambda: here(app).table.jumps > jumps)
        other.bring("someone", people[0].id)
        here(app).load()
        assert not here(app).settled()
        may.set()
        await settle(pilot)
        assert here(app).settled()
        table = here(app).table
        assert table.cursor_row == (table.window.total - 1 if key == "G" else 0)
        assert table.current.user.id == those(path)[-1 if key == "G" else 0].key
        await check(app, pilot, other)
    other.close()


async def test_another_term_changes_the_rows_where_they_stand(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n", *["pagedown"] * 9)
        table = here(app).table
        person, row, top = table.current, table.cursor_row, table.top
        await press(pilot, "plus")
        assert (table.current.user, table.cursor_row, table.top) == (person.user, row, top)
        assert table.current.becomes > person.becomes
        await press(pilot, "m", "ctrl+u")
        assert table.current.becomes is None
        assert (table.cursor_row, table.top) == (row, top)


async def test_rows_that_were_on_their_way_are_of_the_new_term_too(path: Path) -> None:
    """More rows are asked for before those that are there are read again."""
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n")
        table, months = here(app).table, 1
        while not table.window.last:
            at_once(app, "plus", "pagedown", "pagedown", "pagedown")
            await settle(pilot)
            months += 1
            price = f"{months * MONTH_PRICE // 100}.00"
            assert {row.price for row in table.window.rows if row.reason is None} == {price}


async def test_a_second_look_makes_way_for_more_rows_and_is_taken_then(path: Path) -> None:
    other = Other(path, random.Random(0))
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n")
        first = here(app).table.window.rows[0].user
        other.bring(first.name.lower(), first.pk)
        here(app).load()
        here(app)._people.wanted("after")
        await settle(pilot)
        await check(app, pilot, other)
    other.close()


async def test_a_mark_behind_a_jump_is_of_the_row_that_was_jumped_to(path: Path) -> None:
    people = those(path)
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n")
        at_once(app, "G", "space")
        await settle(pilot)
        assert here(app).marked == {people[-1].key}


async def test_marks_of_family_members_and_of_the_others_are_shown_apart(path: Path) -> None:
    def marked_line() -> str:
        return next(line for line in drawn(app).splitlines() if line.startswith("*"))

    async with on_stage(path) as (app, pilot):
        await press(pilot, "n", *["j"] * HELD, "space")
        before = marked_line()
        await press(pilot, "v")
        assert "\n*" not in drawn(app)
        await press(pilot, "j", "space", "v")
        assert marked_line() == before


async def test_where_more_cannot_be_read_it_is_said_and_tried_again(path: Path) -> None:
    other = apsw.Connection(str(path))
    last = those(path)[-40].id
    other.execute("UPDATE users SET kind = 'property_manager' WHERE id = ?", (last,))
    other.execute("UPDATE subscription SET service = 'pm_app' WHERE user_id = ?", (last,))
    other.execute("DELETE FROM price WHERE service = 'pm_app'")
    other.close()
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n", "G")
        assert "no price for property manager app" in toasts(app)[-1]
        table = here(app).table
        assert table.cursor_row == 0
        await press(pilot, *["pagedown"] * 20)
        assert table.cursor_row == 20 * table.page


async def test_who_cannot_be_renewed_says_why_also_far_down(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "n")
        assert f"is in an open order, {HOLDER}: o opens it" in drawn(app)
        await press(pilot, "G", "g", "space")
        assert here(app).marked == set()
        await press(pilot, "o")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen))


async def test_a_department_of_many_people_is_walked_too(path: Path) -> None:
    people = [user for user in those(path, activated=False) if user.department == "West"]
    async with on_stage(path) as (app, pilot):
        await press(pilot, "a", "j", "tab", "G")
        screen = app.screen
        assert isinstance(screen, ActivateScreen)
        assert "West, not activated yet" in drawn(app)
        assert screen.people.current is not None
        assert (screen.people.current.user.id, screen.people.cursor_row) == (people[-1].key, len(people) - 1)
        await press(pilot, "shift+tab", "k")
        assert "East, not activated yet" in drawn(app)
        east = [user for user in those(path, activated=False) if user.department == "East"]
        assert [row.user.id for row in screen.people.window.rows] == [user.key for user in east][: len(east)]
        assert screen.people.row_count == len(east)
