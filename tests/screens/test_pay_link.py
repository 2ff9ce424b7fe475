"""Pay by link: opened, scanned, asked about, paid without a key; and every way in which it can go otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.config import PaymentSettings, Settings
from smartsub_tui.data.database import open_database
from smartsub_tui.data.database import url_of as database_url
from smartsub_tui.data.vocabulary import OrderStatus, Role
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.pay import PayScreen
from smartsub_tui.screens.pay_link import PayLinkScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.qr_full import QrFullScreen
from smartsub_tui.widgets.qr import needs
from tests.providers import CARD_NUMBER, Call, Fault, StripeServer, pay, running
from tests.screens.stage import (
    drawn,
    left,
    make_database,
    on_stage,
    press,
    reached,
    resize,
    settle,
    toasts,
    until,
    write,
)
from tests.screens.test_billing_system import cells, offered, written
from tests.screens.test_journey import expires_on, look, status_of
from tests.screens.test_sizes import SIZES, assert_inside
from tests.screens.test_triage import elsewhere
from tests.screens.test_typed_ahead import at_once
from tests.support import SETTINGS, FixedClock, add_office, add_order, add_people, session_on
from tests.widgets.camera import scan

NUMBER = "20261122080000000000"
IBAN = "DE02 1203 0000 0000 2020 51"
LATER = "asked 09:00:05"


def fill() -> None:
    oak = add_office("Oak House")
    add_order(oak, add_people(oak, "u1", expires_on=date(2027, 1, 31)), OrderStatus.PROCESSING, number=NUMBER)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # where invoices are saved
    return make_database(tmp_path, fill)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def stripe(clock: FixedClock) -> Iterator[StripeServer]:
    with running(clock) as server:
        yield server


@pytest.fixture
def settings(stripe: StripeServer, tmp_path: Path) -> Settings:
    key = tmp_path / "stripe.key"
    key.write_text(stripe.key)
    key.chmod(0o600)
    payments = PaymentSettings(stripe_key_file=str(key), return_url="https://example.com/", stripe_url=stripe.url)
    return replace(SETTINGS, payments=payments, seller=replace(SETTINGS.seller, iban=IBAN))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked about again and again, five times a second."""
    monkeypatch.setattr(PayLinkScreen, "ASK_AFTER", (0.2,))


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked about by F5 alone."""
    monkeypatch.setattr(PayLinkScreen, "ASK_AFTER", (3600.0,))


def url_of(path: Path) -> str:
    return str(look(path, "SELECT link FROM payment ORDER BY id DESC LIMIT 1") or "")


def state_of(path: Path) -> str:
    return str(look(path, "SELECT state FROM payment ORDER BY id DESC LIMIT 1"))


async def open_link(app: SmartSubApp, pilot: Pilot[None], said: str = "waiting") -> None:
    await press(pilot, "p")
    await until(pilot, lambda: isinstance(app.screen, PayScreen))
    await press(pilot, "down", "y")
    await until(pilot, lambda: isinstance(app.screen, PayLinkScreen) and said in drawn(app))


Stage = Callable[..., Any]


@pytest.fixture
def stage(path: Path, settings: Settings, clock: FixedClock) -> Stage:
    def over(**options: Any) -> Any:
        return on_stage(path, **{"start": "payments", "settings": settings, "clock": clock, **options})

    return over


# Opened, and paid


@pytest.mark.usefixtures("never")
async def test_the_way_and_the_yes_may_be_typed_at_once(stage: Stage, stripe: StripeServer) -> None:
    async with stage() as (app, pilot):
        await press(pilot, "p")
        assert isinstance(app.screen, PayScreen)
        at_once(app, "down", "y")
        await until(pilot, lambda: isinstance(app.screen, PayLinkScreen) and "waiting" in drawn(app))


@pytest.mark.usefixtures("now")
async def test_a_link_is_opened_scanned_and_paid_without_a_key(stage: Stage, path: Path, stripe: StripeServer) -> None:
    async with stage(size=(120, 40)) as (app, pilot):
        await open_link(app, pilot)
        url = url_of(path)
        assert scan(cells(app)) == [url]
        for text in ("EUR 5.95 by 23 Nov 08:59", "waiting", "Scan it, or copy the address."):
            assert text in drawn(app)
        assert offered(app) == ("copy", "bank_instead", "back", "help")
        assert "Esc back (the order stays unpaid)" in drawn(app)
        assert pay(url).status == 200
        await until(pilot, lambda: "INV-2026-000001" in drawn(app))
        for text in ("paid", "2027-01-31 -> 2027-02-28", "i saves it"):
            assert text in drawn(app)
        assert not set("▀") & set(drawn(app))
        assert offered(app) == ("invoice", "back", "help")
        assert "Esc back  " in drawn(app)
        assert (status_of(path, NUMBER), expires_on(path, "u1")) == ("succeed", "2027-02-28")
        assert len(stripe.books.paid()) == 1
        asked = len(stripe.faults.seen)
        await settle(pilot)
        assert len(stripe.faults.seen) == asked  # there is nothing to be asked any more


def noted(painted: list[str | None], id: str | None, refresh: Callable[..., Any], *args: Any, **options: Any) -> Any:
    painted.append(id)
    return refresh(*args, **options)


@pytest.mark.usefixtures("never")
async def test_what_is_known_is_painted_in_one_line(
    stage: Stage, path: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        assert "asked" not in drawn(app)
        await press(pilot, "f5")
        await until(pilot, lambda: "waiting, asked 09:00:00" in drawn(app))
        before = drawn(app).split("\n")
        painted: list[str | None] = []
        for widget in app.screen.walk_children():
            monkeypatch.setattr(widget, "refresh", partial(noted, painted, widget.id, widget.refresh))
        clock.advance(seconds=5)
        await press(pilot, "f5")
        await until(pilot, lambda: f"waiting, {LATER}" in drawn(app))
        after = drawn(app).split("\n")
        assert [here for here, (was, is_) in enumerate(zip(before, after, strict=True)) if was != is_] == [2]
        assert set(painted) == {"link-state"}
        assert status_of(path, NUMBER) == "processing"


@pytest.mark.usefixtures("never")
async def test_at_home_size_the_address_and_the_size_of_its_code_are_shown(stage: Stage, path: Path) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        url = url_of(path)
        size = f"{needs(url).width}x{needs(url).height}"
        assert size in ("69x35", "73x37")
        assert f"{url}ThisQRneeds{size},theterminalhas80x24." in written(app)
        assert offered(app) == ("copy", "bank_instead", "back", "help")
        await press(pilot, "f")
        assert toasts(app)[-1] == f"This QR needs {size}, the terminal has 80x24."
        await press(pilot, "y")
        assert toasts(app)[-1] == "sent the link to the terminal's clipboard"
        assert app.clipboard == url


@pytest.mark.usefixtures("never")
async def test_it_fits_every_size_and_its_help_names_its_keys(stage: Stage, path: Path) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        url = url_of(path)
        for size in (*SIZES, (200, 38), (112, 60), (40, 10), (5, 3), (80, 24)):
            await resize(pilot, *size)
            await settle(pilot)
            if size[0] < 60:  # does no harm
                continue
            assert_inside(app)
            assert "EUR 5.95 by 23 Nov 08:59" in drawn(app)
            assert "waiting" in drawn(app)
            assert url in written_beside(app)
            code = needs(url)
            beside = size[0] >= code.width + 40 and size[1] >= code.height + 2
            assert scan(cells(app)) == ([url] if beside else []), size
        await press(pilot, "question_mark")
        for text in ("Keys of Payment link", "bank transfer instead; the link is ended first. Asks first."):
            assert text in " ".join(drawn(app).split())


def written_beside(app: SmartSubApp) -> str:
    """What is written of the screen beside its code, without what wraps it."""
    region = app.screen.query_one("#link-beside").region
    lines = drawn(app).split("\n")[region.y : region.bottom]
    return "".join("".join(line[region.x : region.right].split()) for line in lines)


@pytest.mark.parametrize(("name", "value"), [("LC_ALL", "C"), ("TERM", "linux")])
@pytest.mark.usefixtures("never")
async def test_a_terminal_of_letters_gets_the_address_and_no_link(
    stage: Stage, path: Path, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def links() -> set[str | None]:
        async with stage(size=(120, 40)) as (app, pilot):
            await (
                press(pilot, "p") if status_of(path, NUMBER) != "processing" or url_of(path) else open_link(app, pilot)
            )
            await until(pilot, lambda: url_of(path) and "".join(url_of(path).split())[-40:] in written(app))
            assert bool(scan(cells(app))) is not ascii_only
            strips = app.screen._compositor.render_strips()
            return {each.style.link for strip in strips for each in strip if each.style is not None} - {None}

    ascii_only = False
    assert await links() == {url_of(path)}
    monkeypatch.setenv(name, value)
    ascii_only = True
    assert await links() == set()


@pytest.mark.usefixtures("now")
async def test_a_code_on_the_whole_screen_goes_when_it_is_paid(stage: Stage, path: Path) -> None:
    async with stage(size=(80, 38)) as (app, pilot):
        await open_link(app, pilot)
        url = url_of(path)
        assert "f shows it on the whole screen" in " ".join(drawn(app).split())
        await press(pilot, "f")
        assert isinstance(app.screen, QrFullScreen)
        assert scan(cells(app)) == [url]
        pay(url)
        await until(pilot, lambda: isinstance(app.screen, PayLinkScreen) and "INV-2026-000001" in drawn(app))


@pytest.mark.usefixtures("never")
async def test_it_is_left_and_come_back_to(stage: Stage, path: Path, stripe: StripeServer) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        url = url_of(path)
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)
        assert (status_of(path, NUMBER), state_of(path)) == ("processing", "sent")
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayLinkScreen) and url in written(app))
        assert stripe.faults.seen == [(Call.CREATE, None)]
        pay(url)
        await press(pilot, "f5")
        await until(pilot, lambda: "INV-2026-000001" in drawn(app))
        await press(pilot, "i")
        await until(pilot, lambda: any("saved INV-2026-000001.pdf" in each for each in toasts(app)))


@pytest.mark.usefixtures("now")
async def test_nobody_is_asked_while_nobody_looks(stage: Stage, stripe: StripeServer) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        await until(pilot, lambda: len(stripe.faults.seen) > 3)
        await press(pilot, "question_mark")
        asked = len(stripe.faults.seen)
        for _ in range(20):
            await settle(pilot)
        assert len(stripe.faults.seen) <= asked + 1  # one was on its way
        await press(pilot, "escape")
        await until(pilot, lambda: len(stripe.faults.seen) > asked + 3)


# What Stripe answers, and does not


@pytest.mark.parametrize(
    ("card", "then", "word", "status"),
    [
        ("ok", None, "paid", "succeed"),
        ("delayed", None, "money is under way", "system_processing"),
        ("delayed", True, "paid", "succeed"),
        ("delayed", False, "declined", "failed"),
        ("declined", None, "waiting", "processing"),  # the page lets another card be tried
    ],
)
@pytest.mark.usefixtures("now")
async def test_what_became_of_it_is_shown_by_itself(
    stage: Stage, path: Path, stripe: StripeServer, card: str, then: bool | None, word: str, status: str
) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        pay(url_of(path), card)
        if then is not None:
            await until(pilot, lambda: "money is under way, asked" in drawn(app))
            stripe.books.settle(next(iter(stripe.books.intents)), succeeded=then)
        await until(pilot, lambda: f" {word}" in drawn(app).split("\n")[2])
        assert status_of(path, NUMBER) == status
        if word == "declined":
            assert "Nothing was taken. The order can be paid again" in drawn(app)
            await press(pilot, "escape", "p")
            await until(pilot, lambda: isinstance(app.screen, PayScreen))


@pytest.mark.usefixtures("now")
async def test_a_link_that_ends_times_the_order_out(stage: Stage, path: Path, clock: FixedClock) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        clock.advance(hours=25)
        await until(pilot, lambda: "link ended" in drawn(app))
        await until(pilot, lambda: status_of(path, NUMBER) == "time_out")
        assert state_of(path) == "expired"
        assert "by this link nothing will be" in drawn(app)
        assert offered(app) == ("back", "help")


@pytest.mark.usefixtures("now")
async def test_a_provider_that_is_away_is_asked_on(stage: Stage, path: Path, stripe: StripeServer) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        stripe.faults.always(Fault.REFUSED, Call.RETRIEVE)
        await until(pilot, lambda: "waiting, no answer 09:00:00" in drawn(app))
        assert status_of(path, NUMBER) == "processing"
        stripe.faults.clear()
        await until(pilot, lambda: "waiting, asked 09:00:00" in drawn(app))


@pytest.mark.usefixtures("now")
async def test_an_opening_without_an_answer_becomes_a_link_when_it_is_found(
    stage: Stage, path: Path, stripe: StripeServer
) -> None:
    stripe.faults.always(Fault.RESET_AFTER, Call.CREATE)
    stripe.faults.always(Fault.REFUSED, Call.LIST)
    async with stage() as (app, pilot):
        await open_link(app, pilot, "outcome unknown")
        said = " ".join(drawn(app).split())
        assert "nobody has it, so nothing was taken" in said
        assert "may have been taken" not in said
        assert "Take no other money" in said
        assert status_of(path, NUMBER) == "system_processing"
        stripe.faults.clear()
        await until(pilot, lambda: "waiting" in drawn(app))
        assert url_of(path) in written(app)
        assert "no answer about" not in drawn(app)
        assert len(stripe.books.sessions) == 1


@pytest.mark.usefixtures("now")
async def test_a_definite_no_is_said_and_nothing_of_what_stripe_said(
    stage: Stage, path: Path, stripe: StripeServer
) -> None:
    stripe.books.keys.forget_all()
    async with stage() as (app, pilot):
        stripe.key = "sk_test_another"
        await open_link(app, pilot, "no link")
        assert "Stripe refuses the key" in " ".join(drawn(app).split())
        assert (status_of(path, NUMBER), state_of(path)) == ("processing", "not_sent")
        assert CARD_NUMBER not in drawn(app)
        await press(pilot, "escape", "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))


@pytest.mark.usefixtures("never")
async def test_it_can_be_left_while_it_is_opened(stage: Stage, path: Path, stripe: StripeServer) -> None:
    stripe.faults.plan(Call.CREATE, Fault.SLOW)
    async with stage() as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await pilot.press("down", "y")
        await reached(pilot, lambda: "being opened" in drawn(app))
        await pilot.press("escape")
        await reached(pilot, lambda: isinstance(app.screen, PaymentsScreen))
        stripe.faults.release()
        await until(pilot, lambda: any("is open: p shows it" in each for each in toasts(app)))
        assert state_of(path) == "sent"
        assert isinstance(app.screen, PaymentsScreen)


# Another way


async def test_a_bank_transfer_in_euros_has_a_code_of_its_own(stage: Stage) -> None:
    async def scanned(size: tuple[int, int], *keys: str) -> tuple[list[str], str]:
        async with stage(size=size) as (app, pilot):
            await press(pilot, "p")
            await until(pilot, lambda: isinstance(app.screen, PayScreen))
            await press(pilot, "down", "down")
            said = drawn(app)
            await press(pilot, *keys)
            return scan(cells(app)), said

    transfer = "BCD\n002\n1\nSCT\n\nSeller GmbH\nDE02120300000000202051\nEUR5.95\n\n\n" + NUMBER
    assert await scanned((120, 40)) == ([transfer], ANY)
    codes, said = await scanned((80, 24))
    assert codes == []
    assert "This QR needs 41x21, here are 36x7. f shows it on the whole screen." in said
    assert await scanned((80, 24), "f") == ([transfer], ANY)
    assert await scanned((80, 24), "f", "x") == ([], ANY)
    assert "This QR needs 41x21, the terminal has 60x18." in (await scanned((60, 18)))[1]


async def test_where_a_transfer_has_no_code_it_is_said_why(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await press(pilot, "down")
        assert "No QR code: [seller] iban is no IBAN, or has a digit wrong." in drawn(app)


@pytest.mark.usefixtures("never")
async def test_bank_transfer_instead_ends_the_link_first(stage: Stage, path: Path, stripe: StripeServer) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        for text in ("The payment link is ended first.", f"Seller GmbH, {IBAN}", NUMBER, "06 Dec 09:00"):
            assert text in drawn(app)
        await press(pilot, "y")
        await until(pilot, lambda: isinstance(app.screen, PaymentsScreen))
        assert any("bank transfer chosen: to be paid until 06 Dec" in each for each in toasts(app))
        assert state_of(path) == "expired"
        assert [each.status for each in stripe.books.sessions.values()] == ["expired"]


@pytest.mark.usefixtures("never")
async def test_who_paid_before_the_link_was_ended_has_paid(stage: Stage, path: Path, stripe: StripeServer) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        pay(url_of(path))
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await press(pilot, "y")
        await until(pilot, lambda: "INV-2026-000001" in drawn(app))
        assert isinstance(app.screen, PayLinkScreen)
        assert any("it is already paid" in each for each in toasts(app))
        assert len(stripe.books.paid()) == 1


@pytest.mark.parametrize("silent", [False, True], ids=["ended", "no answer"])
@pytest.mark.parametrize(
    ("key", "text", "status"), [("c", "cash", "succeed"), ("x", "no more", "cancel"), ("d", "twice", "cancel")]
)
@pytest.mark.usefixtures("never")
async def test_what_closes_an_order_ends_its_link_first(
    stage: Stage, path: Path, stripe: StripeServer, key: str, text: str, status: str, silent: bool
) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        await press(pilot, "escape", "enter")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen) and "link open" in drawn(app))
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, (PayScreen, ConfirmScreen)))
        assert "Its payment link, which is open, is ended first." in " ".join(drawn(app).split())
        await write(pilot, text)
        if silent:
            stripe.faults.always(Fault.REFUSED)
        await press(pilot, "enter", "y")
        if silent:
            await until(pilot, lambda: any("no answer about the payment link" in each for each in toasts(app)))
            assert (status_of(path, NUMBER), state_of(path)) == ("system_processing", "unknown")
            await until(pilot, lambda: "System Processing" in drawn(app))
            return
        await until(pilot, lambda: status_of(path, NUMBER) == status)
        assert [each.status for each in stripe.books.sessions.values()] == ["expired"]
        assert look(path, "SELECT count(*) FROM payment WHERE state = 'expired'") == 1


@pytest.mark.usefixtures("never")
async def test_info_shows_the_link_and_money_that_went_back(stage: Stage, path: Path) -> None:
    async with stage(size=(120, 40)) as (app, pilot):
        await open_link(app, pilot)
        url = url_of(path)
        await press(pilot, "escape", "enter")
        await until(pilot, lambda: isinstance(app.screen, OrderInfoScreen) and "link open" in drawn(app))
        assert "until 23 Nov 08:59: p shows it" in drawn(app)
        assert f"{url[:90]}" in drawn(app)
        elsewhere(path, "UPDATE payment SET state = 'succeeded'")
        elsewhere(
            path,
            "INSERT INTO refund (payment_id, state, idempotency_key, amount, currency, reason, created_at, changed_at,"
            " created_by, asked) SELECT id, 'pending', 'back', 595, 'EUR', 'late', created_at, created_at, 'm', 0"
            " FROM payment",
        )
        await press(pilot, "f5")
        await until(pilot, lambda: "Stripe  EUR 5.95  back: under way" in drawn(app))
        assert "p shows it" not in drawn(app)


@pytest.mark.usefixtures("never")
async def test_of_many_the_open_links_are_ended_first(stage: Stage, path: Path, stripe: StripeServer) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
        await press(pilot, "escape", "space", "x")
        await until(pilot, lambda: "y  Yes" in drawn(app))
        assert "1 with an open payment link: it is ended first." in " ".join(drawn(app).split())
        await write(pilot, "moved out")
        await press(pilot, "enter", "1", "enter", "y")
        await until(pilot, lambda: "1 order cancelled" in drawn(app))
        assert status_of(path, NUMBER) == "cancel"
        assert [each.status for each in stripe.books.sessions.values()] == ["expired"]


async def test_where_it_is_not_set_up_it_is_said_where(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        line = next(line for line in drawn(app).split("\n") if "Payment link" in line)
        assert line.strip() == "Payment link        Stripe is not set up: see [payments] in config.toml"
        await press(pilot, "down")
        assert "y  Choose bank transfer" in drawn(app)


@pytest.mark.usefixtures("never")
async def test_the_buyers_references_go_with_the_link(stage: Stage, path: Path) -> None:
    async with stage() as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await press(pilot, "down")
        assert "PO number" in drawn(app)
        assert "Amount" not in drawn(app)
        await press(pilot, "tab")
        await write(pilot, "PO 7")
        await press(pilot, "enter", "y")
        await until(pilot, lambda: isinstance(app.screen, PayLinkScreen) and "waiting" in drawn(app))
        assert look(path, "SELECT po_number FROM orders WHERE number = ?", NUMBER) == "PO 7"


@pytest.mark.usefixtures("never")
async def test_a_viewer_sees_the_link_and_may_do_nothing(stage: Stage, path: Path) -> None:
    async with stage() as (app, pilot):
        await open_link(app, pilot)
    session_on(open_database(database_url(path)), Role.VIEWER)
    async with stage(role=Role.VIEWER) as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayLinkScreen) and url_of(path) in written(app))
        assert offered(app) == ("copy", "back", "help")
        await press(pilot, "f5", "m")
        assert isinstance(app.screen, PayLinkScreen)


# Left


async def test_whoever_leaves_does_not_wait_for_the_provider(stage: Stage, path: Path, stripe: StripeServer) -> None:
    stripe.faults.plan(Call.CREATE, Fault.SLOW)
    async with stage() as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await pilot.press("down", "y")
        await asyncio.to_thread(stripe.faults.wait_until_held)
        app.exit()
        await left(app)
    stripe.faults.release()
    (said,) = app.left_over
    assert said.startswith("Stripe had not answered when smartsub ended")
    assert state_of(path) == "created"  # from which it is asked about again


async def test_a_link_is_asked_for_as_soon_as_yes_was_said(stage: Stage, path: Path) -> None:
    """And not by the screen that shows it, which may never come."""
    async with stage() as (app, pilot):
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(app.screen, PayScreen))
        await press(pilot, "down")
        at_once(app, "y")
        for _ in range(10_000):
            if any(isinstance(each, PayLinkScreen) for each in app.screen_stack):
                break
            await asyncio.sleep(0)
        app.exit(return_code=143)
        await left(app)
    assert app.return_code == 143
    assert look(path, "SELECT count(*) FROM payment") == 1
    assert len(app.left_over) == 1
