"""./run bench --postgres runs through, and what it sets smartsub beside sends what smartsub sends."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as bench
from benchmarks import race, results
from smartsub_tui.billing import orders, payments
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.terms import Months
from smartsub_tui.errors import Refused
from tests.postgres import programs
from tests.support import add_office, add_people, add_prices, file_database, session_on, url_at

FAR = date(2100, 1, 15)  # nobody has lapsed, whatever day it is


def _why_none() -> str:
    """Why there is no PostgreSQL to be had here; nothing where there is."""
    try:
        folder = programs()
    except RuntimeError as error:
        return str(error)
    return "" if os.access(folder / "postgres", os.X_OK) else f"there is no PostgreSQL in {folder}"


needs_programs = pytest.mark.skipif(bool(_why_none()), reason=_why_none() or "it is there")


@needs_programs
@pytest.mark.long
@pytest.mark.once
@pytest.mark.pty
def test_quick_prints_the_whole_table_of_postgresql(capsys: pytest.CaptureFixture[str]) -> None:
    before = results.FILE.read_text("utf-8")
    status = bench.main(["--quick", "--postgres"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert "not measured" not in printed.out, printed.out
    for line in ("start to the complete", "j: time", "a filter key: time", "99 of 100 attempts"):
        assert line in printed.out
    assert results.FILE.read_text("utf-8") == before


@needs_programs
@pytest.mark.once
def test_clients_of_both_ways_pay_each_order_once(tmp_path: Path) -> None:
    raced = race.run(tmp_path, rounds=1, clients=3, count=4)
    assert set(raced) == {(way, thinking) for way in race.WAYS for thinking in race.THINKING}
    for attempts in raced.values():
        assert (len(attempts.paid), len(attempts.refused)) == (4, 2 * 4)


@pytest.mark.postgres
def test_the_bare_payment_sends_what_smartsub_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(file_database(tmp_path / "both.sqlite3")) as database:
        session = session_on(database)
        add_prices()
        add_people(add_office(), "a", "b", expires_on=FAR)
        by_smartsub, by_bare = (orders.renew(session, "Oak House", [key], Months(1)).order.number for key in ("a", "b"))
        from benchmarks.bare_payment import Bare

        bare = Bare(url_at(tmp_path / "both.sqlite3"), session.admin)
        with _recording(monkeypatch) as ours:
            payments.pay(session, by_smartsub, Manual("R"))
            with pytest.raises(Refused, match="it is already paid"):
                payments.pay(session, by_smartsub, Manual("R"))
        with _recording(monkeypatch) as theirs:
            assert bare.pay(by_bare, "R")
            assert not bare.pay(by_bare, "R")
        bare.close()
    assert [_shape(each) for each in theirs] == [_shape(each) for each in ours]


@contextmanager
def _recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is sent to the server meanwhile, statement by statement."""
    import psycopg

    sent: list[str] = []
    execute = psycopg.Cursor.execute

    def recorded(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        sent.append(query)
        return execute(self, query, params, **options)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", recorded)
        yield sent


def _shape(sql: str) -> tuple[str, ...]:
    """What is done, and with which tables, in the order in which they are named."""
    return sql.split(maxsplit=1)[0], *re.findall(r'\b(?:FROM|JOIN|INTO|UPDATE) "?([a-z_]+)', sql)
