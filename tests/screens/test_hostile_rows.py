"""Text from outside on every screen: nothing of it reaches the terminal but visible characters, in straight columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from smartsub_tui.app import SmartSubApp
from smartsub_tui.data.models import AuditEvent
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName
from smartsub_tui.screens.question import Question
from tests.screens.stage import drawn, make_database, on_stage, press, settle, until, write
from tests.support import NOW, TODAY, add_community, add_order, add_payment, add_people, add_person

pytestmark = pytest.mark.once

HOSTILE = (
    "\x1b]52;c;aGk=\x07clip",
    "\x1b[2J\x1b[31mred",
    "\x9b31mC1",
    "tab\tnew\nline\rback\x08space",
    "right\u202eleft\u2066x",
    "zero\u200bwidth\ufeff",
    "[@click=app.quit]quit[/]",
    "[/]",
    "[red]red",
    "$(x) {x} %s \\",
    "z\u0335\u0337\u0338" * 40,
    "王冬梅 الأرض สวัสดี नमस्ते 👩‍👩‍👧",
    "\U000e0041tags\u2028line",
    "x" * 300,
)


def fill() -> None:
    for place, text in enumerate(HOSTILE):
        office = add_community(f"{text} {place}")
        people = [
            add_person(office, f"{text}-{place}", name=text, department=text, apartment=text, expires_on=TODAY),
            *add_people(office, f"k{place}", expires_on=TODAY),
        ]
        add_person(office, f"i{text}-{place}", name=text, department=text, apartment=text)
        order = add_order(office, people[:1], OrderStatus.TIME_OUT, number=f"{place:02}{text}")
        add_payment(order, PaymentState.SUCCEEDED, ProviderName.MANUAL, reference=text)
        AuditEvent.create(
            at=NOW, admin=text, source=text, action=text, order=order, reason=text, after='{"lines":1}', hash=""
        )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("hostile"), fill)


async def _dashboard(app: SmartSubApp, pilot: Pilot[None]) -> None:
    assert "NEEDS YOU" in drawn(app)


async def _subscriptions(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "2")
    assert "For which office?" in drawn(app)


async def _renew(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "n", "A")
    assert "2 marked" in drawn(app)


async def _renew_question(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "n", "A", "enter")
    await until(pilot, lambda: isinstance(app.screen, Question))


async def _activate(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "a", "A")
    assert "1 building marked, 1 person" in drawn(app)


async def _activate_question(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "a", "A", "enter")
    await until(pilot, lambda: isinstance(app.screen, Question))


async def _payments(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "3")
    assert "o Time out" in drawn(app)


async def _order_info(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "3", "enter")
    assert "not paid in time" in drawn(app)


async def _triage(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "T")
    assert "money to apply" in drawn(app)


async def _question(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "3", "enter", "c")
    await until(pilot, lambda: isinstance(app.screen, Question))


async def _help(app: SmartSubApp, pilot: Pilot[None]) -> None:
    await press(pilot, "question_mark")
    assert "Keys of" in drawn(app)


Visit = Callable[[SmartSubApp, Pilot[None]], Awaitable[None]]
VISITS = (
    _dashboard,
    _subscriptions,
    _renew,
    _renew_question,
    _activate,
    _activate_question,
    _payments,
    _order_info,
    _triage,
    _question,
    _help,
)


def assert_harmless(app: SmartSubApp) -> None:
    width, _ = app.size
    for strip in app.screen._compositor.render_strips():
        assert strip.cell_length == width
        for segment in strip:
            bad = [char for char in segment.text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
            assert not bad, (bad, segment.text)
            assert segment.control is None
            assert "@click" not in (segment.style.meta if segment.style else {})


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("visit", VISITS, ids=lambda visit: visit.__name__.strip("_"))
async def test_a_screen_shows_hostile_rows_harmlessly(path: Path, visit: Visit, size: tuple[int, int]) -> None:
    async with on_stage(path, size=size) as (app, pilot):
        await visit(app, pilot)
        assert_harmless(app)
        for _ in range(len(HOSTILE)):  # every row once under the cursor, where there are rows
            await press(pilot, "j")
            assert_harmless(app)


@pytest.mark.parametrize("place", range(len(HOSTILE)))
async def test_every_hostile_order_can_be_opened_and_left(path: Path, place: int) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "g", *["j"] * place, "enter")
        assert_harmless(app)
        assert "not paid in time" in drawn(app)
        await press(pilot, "G")
        assert_harmless(app)
        await press(pilot, "escape")
        assert_harmless(app)


async def test_markup_in_a_filter_is_text(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "office:[/]")
        assert_harmless(app)
        await write(pilot, " bad:[@click=app.quit]x[/]")
        assert "bad" in drawn(app)
        assert_harmless(app)


async def test_a_hostile_sentence_is_told_harmlessly(path: Path) -> None:
    async with on_stage(path) as (app, pilot):
        for text in HOSTILE:
            app.tell(text)
            await settle(pilot)
            assert_harmless(app)
