"""`i` saves the invoice of the order that is chosen, from the list and from Order info, and says where it is."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from smartsub_tui.billing import orders
from smartsub_tui.billing.invoices import BuyerReferences
from smartsub_tui.billing.orders import EVERYONE
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.models import Office
from smartsub_tui.data.vocabulary import OrderStatus, Role
from smartsub_tui.widgets.frame import KeyLine
from tests.screens.stage import drawn, make_database, on_stage, press, toasts, until
from tests.support import TODAY, add_office, add_order, add_people, session_on

FILE = "INV-2026-000001.pdf"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A paid order, one that waits for its money, and one of history; the current folder is an empty one."""

    def fill() -> None:
        add_people(add_office(), "u1", expires_on=TODAY)
        add_people(add_office("Elm House"), "u2", expires_on=date(2026, 12, 1))
        add_order(Office.get(), [], OrderStatus.SUCCEED, history=True, months=None, number="20250101000000000001")

    made = make_database(tmp_path, fill)
    database = open_database(url_of(made))
    session_on(database, Role.VIEWER)
    session = session_on(database)
    references = BuyerReferences("PO 4711", "Kostenstelle 7")
    orders.renew(session, "Oak House", EVERYONE, Months(1), paying=Manual("R"), references=references)
    orders.renew(session, "Elm House", EVERYONE, Months(1))
    database.close()
    monkeypatch.chdir(tmp_path)
    return made


@pytest.mark.parametrize("role", [Role.MANAGER, Role.VIEWER])
async def test_it_is_saved_from_the_list_and_from_order_info(path: Path, tmp_path: Path, role: Role) -> None:
    size = (80, 40)
    async with on_stage(path, size=size, start="payments", filter_text="status:succeed", role=role) as (app, pilot):
        assert "invoice" in app.screen.query_one(KeyLine).shown
        await press(pilot, "i")
        await until(pilot, lambda: toasts(app))
        assert toasts(app) == [f"saved {FILE} in {tmp_path}"]
        first = (tmp_path / FILE).read_bytes()
        (tmp_path / FILE).unlink()
        await press(pilot, "enter")
        assert "invoice" in app.screen.query_one(KeyLine).shown
        assert "i Save the invoice of the order as PDF." in drawn(app)
        assert "PO 4711" in drawn(app)
        assert "Kostenstelle 7" in drawn(app)
        await press(pilot, "i")
        await until(pilot, lambda: (tmp_path / FILE).exists())
        assert (tmp_path / FILE).read_bytes() == first


async def test_an_order_without_an_invoice_says_why_and_saves_nothing(path: Path, tmp_path: Path) -> None:
    async with on_stage(path, size=(80, 40), start="payments", filter_text="status:processing") as (app, pilot):
        assert "invoice" not in app.screen.query_one(KeyLine).shown
        await press(pilot, "i")
        await until(pilot, lambda: toasts(app))
        assert "is not paid: it has no invoice yet" in toasts(app)[-1]
        await press(pilot, "enter")
        assert "(i invoice: it is not paid)" in drawn(app)
        assert "invoice" not in app.screen.query_one(KeyLine).shown
    async with on_stage(path, size=(80, 40), start="payments", filter_text="2025010100") as (app, pilot):
        assert "invoice" not in app.screen.query_one(KeyLine).shown
        await press(pilot, "enter")
        assert "(i invoice: imported history has no invoice of ours)" in drawn(app)
        await press(pilot, "i")
        await until(pilot, lambda: toasts(app))
        assert "is imported history: it has no invoice of ours" in toasts(app)[-1]
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".pdf")]


async def test_what_is_in_the_way_is_kept_and_told(path: Path, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"mine")
    async with on_stage(path, start="payments", filter_text="status:succeed") as (app, pilot):
        await press(pilot, "i")
        await until(pilot, lambda: toasts(app))
        assert "exists with other content" in toasts(app)[-1]
    assert (tmp_path / FILE).read_bytes() == b"mine"


async def test_without_an_order_nothing_is_saved_or_said(tmp_path: Path) -> None:
    path = make_database(tmp_path, lambda: None)
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "i")
        assert toasts(app) == []
