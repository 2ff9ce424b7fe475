"""First run, and bringing files in from inside the application: looked at first, taken whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from smartsub_tui.billing.session import Session
from smartsub_tui.data.csv_files import CsvFile, importable, read_file
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.screens import import_files
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.import_files import ImportScreen
from smartsub_tui.widgets.field import Field
from smartsub_tui.widgets.frame import KeyLine
from smartsub_tui.widgets.lines import Lines
from tests.screens.stage import drawn, make_database, on_stage, press, reached, settle, toasts, until, write
from tests.support import FixedClock

PRICES = "service,action,amount,currency,office_kind,tax_rate,valid_from\napp,month,5.00,EUR,,0.19,2021-01-01\n"
PLACE = "office,office_kind,timezone,currency,department"
USERS = f"{PLACE},user_id,name,email,kind,apartment,service,activated_on,expires_on\n"


def users(number: int, *, kind: str = "user") -> str:
    return USERS + "".join(
        f"Oak,office,Europe/Berlin,EUR,Sales,K{place},Name {place},,{kind},,app,2024-01-01,2026-12-31\n"
        for place in range(number)
    )


def holding(_session: Session, until: threading.Event) -> None:
    """Keep the database thread busy."""
    until.wait(60)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the application runs."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, lambda: None)


@pytest.mark.parametrize("size", [(80, 24), (60, 18)])
async def test_a_new_database_says_what_can_be_done(path: Path, size: tuple[int, int]) -> None:
    async with on_stage(path, size=size) as (app, _):
        seen = drawn(app)
        for word in ("Welcome to smartsub", " I  import prices", " ?  the keys", " q  leave", "smartsub demo"):
            assert word in seen
        assert "NEEDS YOU" not in seen
        assert app.screen.query_one(KeyLine).shown == ("import", "help", "quit")


async def test_files_of_the_folder_are_proposed_looked_at_and_taken(path: Path, folder: Path) -> None:
    (folder / "some users.csv").write_text(users(3))
    (folder / "prices.csv").write_text(PRICES)
    (folder / "notes.csv").write_text("a,b\n")
    clock = FixedClock()
    async with on_stage(path, clock=clock) as (app, pilot):
        await press(pilot, "I")
        assert isinstance(app.screen, ImportScreen)
        assert app.screen.field.value == "prices.csv 'some users.csv'"
        assert "y import" not in drawn(app)
        await press(pilot, "enter")
        assert "It would bring 1 price, 3 users: y imports" in drawn(app)
        await press(pilot, "escape")
        assert "Welcome" in drawn(app)  # nothing was stored
        await press(pilot, "I", "enter", "y")
        await until(pilot, lambda: "imported 1 price, 3 users" in toasts(app))
        assert "some users.csv: 3 new" in drawn(app)
        clock.advance(seconds=2)
        await press(pilot, "slash", "enter")
        assert "All of this is here already" in drawn(app)
        assert "y import" not in drawn(app)
        await press(pilot, "y")
        await press(pilot, "escape")
        assert isinstance(app.screen, DashboardScreen)
        assert "Oak" in drawn(app)
        assert "Welcome" not in drawn(app)


async def test_every_bad_row_is_shown_and_the_files_can_be_looked_at_again(path: Path, folder: Path) -> None:
    file = folder / "users.csv"
    file.write_text(users(250, kind="nobody"))
    async with on_stage(path) as (app, pilot):
        await press(pilot, "I", "enter")
        assert isinstance(app.screen, ImportScreen)
        assert "Nothing was imported: 250 problems" in drawn(app)
        lines = app.screen.query_one(Lines)
        for line in range(2, 252):
            assert f"users.csv:{line}: kind" in lines.text
        assert "users.csv:2: kind" in drawn(app)
        await press(pilot, "G")
        assert "users.csv:251: kind" in drawn(app)
        await press(pilot, "y")
        assert not toasts(app)
        file.write_text(users(2))
        await press(pilot, "slash", "enter", "y")
        await until(pilot, lambda: "imported 2 users" in toasts(app))


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "name at least one file"),
        ("nowhere.csv", "no file nowhere.csv: check its name"),
        ("~nobody.csv", "no file ~nobody.csv: check its name"),
        ('"open.csv', "a quote is not closed"),
        (".", ". cannot be read"),
    ],
)
async def test_what_cannot_be_read_gets_a_sentence_and_stays_typed(
    path: Path, folder: Path, typed: str, sentence: str
) -> None:
    async with on_stage(path) as (app, pilot):
        await press(pilot, "I")
        await write(pilot, typed)
        await press(pilot, "enter")
        assert isinstance(app.screen, ImportScreen)
        assert sentence in drawn(app)
        assert app.screen.field.value == typed
        assert isinstance(app.screen.focused, Field)


async def test_a_pipe_is_neither_proposed_nor_waited_for(path: Path, folder: Path) -> None:
    os.mkfifo(folder / "prices.csv")
    async with on_stage(path) as (app, pilot):
        await press(pilot, "I")
        assert isinstance(app.screen, ImportScreen)
        assert app.screen.field.value == ""
        await write(pilot, "prices.csv")
        await press(pilot, "enter")
        assert "prices.csv is no ordinary file: name another" in drawn(app)


async def test_another_name_takes_the_look_back(path: Path, folder: Path) -> None:
    (folder / "users.csv").write_text(users(2))
    async with on_stage(path) as (app, pilot):
        await press(pilot, "I", "enter")
        assert "y import" in drawn(app)
        await press(pilot, "slash")
        await write(pilot, "x")
        await press(pilot, "escape", "y")
        assert not toasts(app)
        assert "y import" not in drawn(app)


async def test_what_was_looked_at_is_what_is_taken(path: Path, folder: Path) -> None:
    file = folder / "users.csv"
    file.write_text(users(2))
    async with on_stage(path) as (app, pilot):
        await press(pilot, "I", "enter")
        file.write_text(users(9))
        await press(pilot, "y")
        await until(pilot, lambda: "imported 2 users" in toasts(app))


async def test_the_interface_goes_on_and_the_end_is_told_wherever_one_is(path: Path, folder: Path) -> None:
    (folder / "users.csv").write_text(users(2))
    hold = threading.Event()
    async with on_stage(path) as (app, pilot):
        await press(pilot, "I", "enter")
        app.write(lambda: app.backend.call(holding, hold))
        await pilot.press("y")
        await reached(pilot, lambda: "importing ..." in drawn(app))
        await pilot.press("y", "escape")
        await reached(pilot, lambda: isinstance(app.screen, DashboardScreen) and "the import goes on" in drawn(app))
        hold.set()
        await until(pilot, lambda: "imported 2 users" in toasts(app))
        assert toasts(app).count("imported 2 users") == 1
        await press(pilot, "f5")
        assert "Oak" in drawn(app)


async def test_a_look_that_was_left_is_not_done(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "users.csv").write_text(users(2))
    hold, looked = threading.Event(), []

    def spy(file: Path) -> CsvFile:
        looked.append(file)
        return read_file(file)

    monkeypatch.setattr(import_files, "read_file", spy)
    async with on_stage(path) as (app, pilot):
        await press(pilot, "I")
        app.write(lambda: app.backend.call(holding, hold))
        await pilot.press("enter", "escape", "escape")
        await reached(pilot, lambda: isinstance(app.screen, DashboardScreen))
        hold.set()
        await settle(pilot)
        assert not looked
        await press(pilot, "I", "enter")
        assert len(looked) == 1


async def test_a_viewer_is_not_offered_the_import_and_is_told_who_may(tmp_path: Path, folder: Path) -> None:
    (folder / "users.csv").write_text(users(2))
    path = make_database(tmp_path, lambda: None, Role.VIEWER)
    async with on_stage(path, role=Role.VIEWER) as (app, pilot):
        assert app.screen.query_one(KeyLine).shown == ("help", "quit")
        assert "ask one to import" in drawn(app)
        await press(pilot, "I", "enter")
        assert "may not import" in drawn(app)


def test_only_files_with_our_headers_are_importable(folder: Path) -> None:
    (folder / "b.csv").write_text("\ufeff" + USERS)
    (folder / "a.CSV").write_text('"service",action,amount,currency,office_kind,tax_rate,valid_from\r\n')
    (folder / "c.csv").write_text("service,other\n")
    (folder / "d.csv").write_bytes(b"\xff\xfe")
    (folder / "e.txt").write_text(USERS)
    (folder / "f.csv").mkdir()
    assert importable(folder) == ["a.CSV", "b.csv"]
    assert importable(folder / "nowhere") == []
