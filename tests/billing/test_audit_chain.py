"""The audit trail as a chain: whatever is done to it behind our back is found, and what is not, is said to be not."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import audit_chain, orders, payments
from smartsub_tui.billing.demo import make_demo
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.database import Database, open_database
from smartsub_tui.data.models import AuditEvent, Order
from smartsub_tui.data.vocabulary import OrderStatus
from smartsub_tui.errors import NotAllowed, Refused, WrongUsage
from tests.support import (
    NOW,
    SETTINGS,
    add_office,
    add_people,
    add_prices,
    aside,
    file_database,
    session_on,
    unguard,
    url_at,
)

CHANGES = 1000
COLUMNS = ("at", "admin", "source", "action", "order_id", "subject", "before", "after", "reason", "request_id", "hash")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A trail of fourteen events, of seven orders that were paid."""
    made = tmp_path / "trail.sqlite3"
    with closing(file_database(made)) as database:
        session = session_on(database)
        add_prices()
        add_people(add_office(), *(f"u{place}" for place in range(7)), expires_on=date(2026, 12, 22))
        for place in range(7):
            number = orders.renew(session, "Oak House", [f"u{place}"], Months(1)).order.number
            payments.pay(session, number, Manual("R"), request_id=f"r{place}")
        # Whoever can write the file is not held back by what holds the application back.
        unguard(database, "audit_event")
    return made


def trail(path: Path) -> list[tuple[Any, ...]]:
    with closing(aside(path)) as connection:
        found: list[tuple[Any, ...]] = connection.execute("SELECT * FROM audit_event ORDER BY id").fetchall()
        return found


def verified(path: Path, known: str | None = None) -> audit_chain.Chain:
    with closing(open_database(url_at(path))) as database:
        return audit_chain.verify(session_on(database), known)


def test_a_trail_as_it_was_written_is_whole(path: Path) -> None:
    found = verified(path)
    assert (found.events, found.head) == (14, trail(path)[-1][-1])
    assert verified(path, found.head) == found
    # A head that was noted earlier stands in it, too.
    assert verified(path, trail(path)[3][-1]) == found


@pytest.mark.parametrize("block", [1, 3, 7, 13, 14, 15])
def test_a_trail_is_the_same_in_blocks_of_any_length(path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_chain, "BLOCK", block)
    assert (verified(path).events, verified(path).head) == (14, trail(path)[-1][-1])
    with closing(aside(path)) as connection:
        connection.execute("DELETE FROM audit_event WHERE id = 8")
    with pytest.raises(Refused, match="event 9, or one before it"):
        verified(path)


def test_an_empty_trail_is_whole(session: Session) -> None:
    assert audit_chain.verify(session) == audit_chain.Chain(0, "", None)
    with pytest.raises(Refused, match="none of its 0 events"):
        audit_chain.verify(session, "0" * 64)


def test_the_trail_of_sample_data_is_whole(database: Database) -> None:
    make_demo(database, admin="manager", now=NOW, orders=100, users=20, settings=SETTINGS)
    session = session_on(database)
    assert audit_chain.verify(session).events == AuditEvent.select().count() > 100
    number = Order.select().where(Order.status == OrderStatus.PROCESSING).get().number
    payments.cancel(session, number, "why")
    assert audit_chain.verify(session).events == AuditEvent.select().count()


@pytest.mark.parametrize("part", range(4))
def test_any_edit_removal_insertion_or_swap_is_found(path: Path, part: int) -> None:
    """A thousand of them, each on the trail as it was."""
    drawn, before = Random(part), trail(path)
    head = before[-1][-1]
    names = ("id", *COLUMNS)
    with closing(open_database(url_at(path))) as database:
        session = session_on(database)
        for _ in range(CHANGES // 4):
            with suppress(_Undo), database.writing():
                what = _tamper(database, drawn, names)
                after = database.execute_sql("SELECT * FROM audit_event ORDER BY id").fetchall()
                assert [row[1:] for row in after] != [row[1:] for row in before], what
                with pytest.raises(Refused, match="the audit trail was changed"):
                    audit_chain.verify(session, head)
                raise _Undo
    assert trail(path) == before


class _Undo(Exception):
    pass


def _tamper(database: Database, drawn: Random, names: tuple[str, ...]) -> str:
    def run(sql: str, *values: Any) -> None:
        database.execute_sql(sql.replace("?", database.param), values)

    one, other = drawn.sample(range(1, 15), 2)
    match drawn.randrange(5):
        case 0:
            column = drawn.choice(names[1:])
            was = database.execute_sql(f"SELECT {column} FROM audit_event WHERE id = {one}").fetchone()[0]
            now = was + 1 if isinstance(was, int) else f"{was or ''}x"
            if column == "order_id":
                now = drawn.choice([each for each in range(1, 8) if each != was])
            run(f"UPDATE audit_event SET {column} = ? WHERE id = ?", now, one)
            return f"{column} of {one}"
        case 1:
            run("DELETE FROM audit_event WHERE id = ?", one)
            return f"{one} removed"
        case 2:
            run("DELETE FROM audit_event WHERE id >= ?", one)
            return f"from {one} on removed"
        case 3:
            at = drawn.choice([0, 15])
            listed = ", ".join(names[1:])
            run(f"INSERT INTO audit_event SELECT ?, {listed} FROM audit_event WHERE id = ?", at, one)
            return f"{one} inserted at {at}"
        case _:
            run("UPDATE audit_event SET id = 99 WHERE id = ?", one)
            run("UPDATE audit_event SET id = ? WHERE id = ?", one, other)
            run("UPDATE audit_event SET id = ? WHERE id = 99", other)
            return f"{one} and {other} swapped"


def test_a_tail_that_was_cut_off_is_found_by_the_head_alone(path: Path) -> None:
    head = verified(path).head
    with closing(aside(path)) as connection:
        connection.execute("DELETE FROM audit_event WHERE id > 10")
    assert verified(path).events == 10  # what is left fits together
    with pytest.raises(Refused, match="none of its 10 events has the head that was noted"):
        verified(path, head)


def test_what_is_found_is_named(path: Path) -> None:
    with closing(aside(path)) as connection:
        connection.execute("UPDATE audit_event SET reason = 'nothing' WHERE id = 5")
    with pytest.raises(Refused, match=r"event 5, or one before it, is not as it was written, by manager at 2026-11-22"):
        verified(path)


@pytest.mark.sqlite("a column takes what is not of its type")
@pytest.mark.parametrize(
    "edit",
    [
        "at = 9000000000000000000",
        "at = -9000000000000000000",
        "at = 'yesterday'",
        "admin = CAST(x'ff41' AS TEXT)",
        "reason = CAST(x'ff41' AS TEXT)",
        "reason = x'41'",
        "hash = CAST(x'ff41' AS TEXT)",
    ],
)
@pytest.mark.parametrize("id", [1, 5, 14])
def test_what_cannot_even_be_read_is_named(path: Path, edit: str, id: int) -> None:
    with closing(aside(path)) as connection:
        connection.execute(f"UPDATE audit_event SET {edit} WHERE id = {id}")
    with pytest.raises(Refused, match=rf"changed: event {id}, or one before it, is not as it was written$"):
        verified(path)


def test_a_last_instant_that_is_none_is_found_though_its_hash_fits(path: Path) -> None:
    *_, last = trail(path)
    at = 9_000_000_000_000_000_000
    with closing(aside(path)) as connection:
        made_anew = audit_chain.linked(trail(path)[-2][-1], (at, *last[2:-1]))
        connection.execute("UPDATE audit_event SET at = ?, hash = ? WHERE id = 14", (at, made_anew))
    with pytest.raises(Refused, match=r"is not as it was written$"):
        verified(path)


@pytest.mark.parametrize(("edit", "id"), [("id = id + 1000 WHERE id >= 3", 1003), ("id = id - 1", 0)])
def test_ids_that_were_moved_are_found(path: Path, edit: str, id: int) -> None:
    with closing(aside(path)) as connection:
        connection.execute("CREATE TEMP TABLE moved AS SELECT * FROM audit_event")
        connection.execute(f"UPDATE moved SET {edit}")
        connection.execute("DELETE FROM audit_event; INSERT INTO audit_event SELECT * FROM moved")
    with pytest.raises(Refused, match=f"event {id}, or one before it, is not as it was written"):
        verified(path)


def test_an_id_that_was_rolled_back_is_given_again(session: Session) -> None:
    """So that ids have no gaps, and one is a removal."""
    add_prices()
    add_people(add_office(), "u1", expires_on=date(2026, 12, 22))
    for dry_run in (True, False):
        orders.renew(session, "Oak House", ["u1"], Months(1), dry_run=dry_run)
    with suppress(_Undo), session.database.writing():
        AuditEvent.insert(at=NOW, admin="x", source="cli", action="x", hash="x").execute()
        raise _Undo
    payments.pay(session, Order.get().number, Manual("R"))
    assert [each.id for each in AuditEvent.select().order_by(AuditEvent.id)] == [1, 2]
    assert audit_chain.verify(session).events == 2


def test_a_head_has_sixty_four_characters(session: Session) -> None:
    for known in ("", "abc", "G" * 64):
        with pytest.raises(WrongUsage, match="it has 64 characters"):
            audit_chain.verify(session, known)


def test_who_is_no_admin_reads_no_trail(session: Session) -> None:
    with pytest.raises(NotAllowed):
        audit_chain.verify(replace(session, admin="nobody"))
