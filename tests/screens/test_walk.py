"""Walking the list of orders by any keys, under any filter and sort, while another process inserts and deletes.

What stands on the screen is held against one plain SELECT of everything, filtered and sorted here in Python.
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
from smartsub_tui.data.vocabulary import OrderStatus, OrderType
from smartsub_tui.screens import payments
from smartsub_tui.screens.payments import PaymentsScreen
from tests.screens.stage import drawn, make_database, on_stage, press, settle, until, write
from tests.support import NOW, add_office, add_order

WALKS: Final = range(int(os.environ.get("SMARTSUB_WALKS", "1")))
STEPS: Final = 40
ORDERS: Final = 900
TIMES: Final = ("today", "1h", "3h", "2026-11-22", "2h")
KEYS: Final = ("j", "k", "pagedown", "pagedown", "pagedown", "pageup", "pageup", "g", "G", "s", "space")


class Stored(NamedTuple):
    id: int
    number: str
    status: str
    type: str
    created_at: int


FILTERS: Final[dict[str, Callable[[Stored], bool]]] = {
    "": lambda order: True,
    "status:failed": lambda order: order.status == "failed",
    "status:failed,cancel -type:activation": lambda order: (
        order.status in ("failed", "cancel") and order.type != "activation"
    ),
    "-status:succeed": lambda order: order.status != "succeed",
    "7": lambda order: "7" in order.number,
    "type:additional 1": lambda order: order.type == "additional_app" and "1" in order.number,
    "99999": lambda order: "99999" in order.number,
}
SORTS: Final[dict[str, Callable[[Stored], tuple[Any, ...]]]] = {
    "created": lambda order: (order.created_at, order.id),
    "number": lambda order: (order.number, order.id),
    "type": lambda order: (order.type, order.created_at, order.id),
    "status": lambda order: (order.status, order.created_at, order.id),
}


def fill() -> None:
    office, chance = add_office("Oak House"), random.Random(7)
    for place in range(ORDERS):
        add_order(
            office,
            [],
            chance.choice((OrderStatus.SUCCEED, OrderStatus.FAILED, OrderStatus.CANCEL)),
            history=True,
            type=chance.choice(list(OrderType)),
            number=f"{chance.randrange(10**9):09}-{place}",
            # Many were made in the same minute: their row ids tell them apart.
            created_at=NOW - timedelta(minutes=chance.randrange(ORDERS // 3)),
        )


class Other:
    """Another process that changes the same database."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self._connection = apsw.Connection(str(path))
        self._chance = chance
        self._made = 0

    def read(self) -> list[Stored]:
        sql = "SELECT id, number, status, type, created_at FROM orders WHERE deleted_at IS NULL"
        return [Stored(*row) for row in self._connection.execute(sql)]

    def change(self) -> None:
        chosen = self._chance.choice(self.read())
        match self._chance.randrange(3):
            case 0:
                self._connection.execute("UPDATE orders SET deleted_at = created_at WHERE id = ?", (chosen.id,))
            case 1:
                # The same order a little later, or before all others.
                self._made += 1
                copied = ", ".join(
                    name
                    for _, name, *_ in self._connection.execute("PRAGMA table_info(orders)")
                    if name not in ("id", "number", "created_at")
                )
                at = chosen.created_at + self._chance.choice((1, 10**12))
                sql = (
                    f"INSERT INTO orders (number, created_at, {copied}) SELECT ?, ?, {copied} FROM orders WHERE id = ?"
                )
                self._connection.execute(sql, (f"made-{self._made}", at, chosen.id))
            case _:
                status = self._chance.choice(("succeed", "failed", "cancel"))
                self._connection.execute("UPDATE orders SET status = ? WHERE id = ?", (status, chosen.id))

    def close(self) -> None:
        self._connection.close()


async def check(app: SmartSubApp, pilot: Pilot[None], other: Other) -> None:
    screen = app.screen
    assert isinstance(screen, PaymentsScreen)
    text, sort, table = screen.filter_bar.input.value, screen.sort, screen.table
    wanted = [
        order.number
        for order in sorted(
            (order for order in other.read() if FILTERS[text](order)),
            key=SORTS[sort.key],
            reverse=sort.descending,
        )
    ]
    # It is counted after the rows are there; what is drawn may still be the count of the list before.
    await until(pilot, lambda: table.window.total == len(wanted))
    await until(pilot, lambda: f"{len(wanted):,} of " in drawn(app))
    window = table.window
    assert [row.number for row in window.rows] == wanted[window.base : window.end]
    assert (window.total, table.row_count) == (len(wanted), len(wanted))
    lines = drawn(app).splitlines()
    top = next(place for place, line in enumerate(lines) if "Order Number" in line) + 1
    shown = [line[1:].split()[0] for line in lines[top : top + table.page] if line.strip()]
    assert shown == wanted[table.top : table.top + table.page]
    if wanted:
        assert table.current is not None
        assert table.current.number == wanted[table.cursor_row]
        assert table.top <= table.cursor_row < table.top + table.page
    else:
        assert table.current is None


@pytest.mark.long
@pytest.mark.parametrize("seed", WALKS)
@pytest.mark.parametrize("in_parts", [False, True])
async def test_what_is_walked_over_is_one_select_whatever_others_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, in_parts: bool
) -> None:
    if in_parts:  # as where the database takes long
        monkeypatch.setattr(payments, "_BOX", -1.0)
        monkeypatch.setattr(payments, "_SMALL_BOX", -1.0)
        monkeypatch.setattr(payments, "_LOOKED_AT", 50)
    chance = random.Random(seed)
    path = make_database(tmp_path, fill)
    other = Other(path, chance)
    async with on_stage(path, start="payments") as (app, pilot):
        await check(app, pilot, other)
        for _ in range(STEPS):
            what = chance.random()
            if what < 0.2:
                await press(pilot, "slash", "ctrl+u")
                await write(pilot, chance.choice(list(FILTERS)))
                await press(pilot, "enter")
            elif what < 0.25:
                await press(pilot, "at")
                await write(pilot, chance.choice(TIMES))
                await press(pilot, "enter")
            elif what < 0.4:
                before = mark_and_place(app)
                other.change()
                await app._look_for_changes()
                await settle(pilot)
                await check(app, pilot, other)
                # Neither cursor nor marks move, as long as their orders are in the list.
                assert mark_and_place(app)[1] == before[1]
                if before[0] in {order.number for order in table_rows(app)}:
                    assert mark_and_place(app)[0] == before[0]
            else:
                await press(pilot, *[chance.choice(KEYS)] * chance.randrange(1, 4))
            await check(app, pilot, other)
    other.close()


def table_rows(app: SmartSubApp) -> list[Any]:
    assert isinstance(app.screen, PaymentsScreen)
    return app.screen.table.window.rows


def mark_and_place(app: SmartSubApp) -> tuple[str | None, tuple[str, ...]]:
    assert isinstance(app.screen, PaymentsScreen)
    return app.screen.chosen_order(), app.screen.marked_orders()
