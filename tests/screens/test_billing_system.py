"""The billing system: its address is shown, drawn, linked and copied; nothing is opened, and nothing is cut."""

from __future__ import annotations

import base64
import webbrowser
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.app import App
from textual.events import Key
from textual.geometry import Size

from smartsub_tui.app import SmartSubApp
from smartsub_tui.config import BillingSystem, Settings
from smartsub_tui.data.vocabulary import OrderStatus, Role
from smartsub_tui.screens.billing_system import BillingSystemScreen
from smartsub_tui.screens.dashboard import DashboardScreen
from smartsub_tui.screens.help import HelpScreen
from smartsub_tui.screens.order_info import OrderInfoScreen
from smartsub_tui.screens.payments import PaymentsScreen
from smartsub_tui.screens.qr_full import QrFullScreen
from smartsub_tui.widgets.frame import KeyLine
from smartsub_tui.widgets.qr import needs
from tests.journeys.material import SMARTSUB, environment, smartsub
from tests.packaging.terminal import Terminal
from tests.screens.stage import drawn, make_database, on_stage, press, resize, settle, toasts, write
from tests.support import SETTINGS, add_office, add_order
from tests.widgets.camera import BLACK, WHITE, Cell, of_strips, scan

pytestmark = pytest.mark.once

NUMBER = "20261101000000000001"
HOSTILE = "x\x1b]52;c;aGk=\x07\nrm -rf ~\u202e"


def url_of(length: int) -> str:
    return ("https://billing.example/" + "a1B2-c3/" * length)[:length]


SHORT, MIDDLE, LONG, LONGEST = url_of(60), url_of(127), url_of(400), url_of(2000)


def fill() -> None:
    add_order(add_office(), [], OrderStatus.FAILED, history=True, number=NUMBER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path, fill)


def with_url(url: str) -> Settings:
    return replace(SETTINGS, billing_system=BillingSystem(url))


def cells(app: SmartSubApp, *, colours: bool = True, light: bool = False) -> list[list[Cell]]:
    return of_strips(app.screen._compositor.render_strips(), colours=colours, light=light)


def written(app: SmartSubApp) -> str:
    """The ASCII text that is drawn, without what wraps it, codes and scrollbars."""
    return "".join(each for each in drawn(app) if each.isascii() and not each.isspace())


def offered(app: SmartSubApp) -> tuple[str, ...]:
    return app.screen.query_one(KeyLine).shown


@pytest.mark.parametrize("no_color", [False, True], ids=["colour", "no colour"])
@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(("size", "url"), [((80, 24), SHORT), ((120, 40), SHORT), ((120, 40), MIDDLE)])
async def test_a_camera_reads_the_address_from_the_screen_black_on_white(
    path: Path, size: tuple[int, int], url: str, theme: str, no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    async with on_stage(path, size=size, start="payments", settings=with_url(url), theme=theme) as (app, pilot):
        await press(pilot, "b")
        assert isinstance(app.screen, BillingSystemScreen)
        shown = cells(app, colours=not no_color, light=theme == "light")
        assert scan(shown) == [url]
        columns, rows = needs(url)
        code = [row[1 : 1 + columns] for row in shown[2 : 2 + rows]]
        assert {shade for row in code for cell in row for shade in (cell.ink, cell.paper)} == {WHITE, BLACK}
        beside = "".join(line[1 + columns :].strip() for line in drawn(app).split("\n")[2 : 2 + rows])
        assert beside == f"{url}Scan it, or copy the address."
        assert offered(app) == ("copy", "back", "help")


async def test_what_fits_the_whole_screen_only_has_it_until_any_key(path: Path) -> None:
    async with on_stage(path, start="payments", settings=with_url(MIDDLE)) as (app, pilot):
        await press(pilot, "enter", "b")
        assert scan(cells(app)) == []
        assert not set(drawn(app)) & set("▀")
        assert MIDDLE in written(app)
        assert "This QR needs 45x23, here are 56x20. f shows it on the whole screen." in drawn(app)
        assert offered(app) == ("copy", "full_screen", "back", "help")
        for key in ("x", "escape", "q", "1", "f", "f5", "question_mark", "enter", "space", "down", "b"):
            await press(pilot, "f")
            assert isinstance(app.screen, QrFullScreen)
            assert scan(cells(app)) == [MIDDLE]
            assert "Billing" not in drawn(app)
            await press(pilot, key)
            assert isinstance(app.screen, BillingSystemScreen)
        await press(pilot, "f")
        for _ in range(3):  # at once
            app.screen.post_message(Key("x", "x"))
        await settle(pilot)
        assert isinstance(app.screen, BillingSystemScreen)
        await press(pilot, "f")
        await pilot.click(offset=(3, 3))
        await settle(pilot)
        assert isinstance(app.screen, BillingSystemScreen)
        await press(pilot, "escape")
        assert isinstance(app.screen, OrderInfoScreen)


@pytest.mark.parametrize(("url", "needed"), [(LONG, "73x37"), (LONGEST, "153x77")])
async def test_what_fits_no_screen_is_said_with_both_sizes(path: Path, url: str, needed: str) -> None:
    async with on_stage(path, start="payments", settings=with_url(url)) as (app, pilot):
        await press(pilot, "b", "f")
        assert isinstance(app.screen, BillingSystemScreen)
        assert offered(app) == ("copy", "back", "help")
        said = f"This QR needs {needed}, the terminal has 80x24."
        assert toasts(app) == [said]
        await settle(pilot)
        seen = [written(app)]
        await press(pilot, "end")
        seen.append(written(app))
        assert url[:1000] in seen[0]
        assert f"{url[-1000:]}{''.join(said.split())}" in seen[1]


async def test_a_code_comes_and_goes_with_the_size_of_the_terminal(path: Path) -> None:
    async with on_stage(path, start="payments", settings=with_url(MIDDLE)) as (app, pilot):
        await press(pilot, "b")
        for size in (Size(69, 27), Size(68, 27), Size(69, 26), Size(200, 60), Size(60, 18), Size(44, 80), Size(80, 28)):
            await resize(pilot, *size)
            await settle(pilot)
            fits = size.width >= 45 + 24 and size.height >= 23 + 4
            assert scan(cells(app)) == ([MIDDLE] if fits else []), size
            assert MIDDLE in written(app)
        await resize(pilot, 80, 24)
        await press(pilot, "f")
        assert scan(cells(app)) == [MIDDLE]
        await resize(pilot, 80, 22)
        await settle(pilot)
        assert not set(drawn(app)) & set("▀")
        assert "This QR needs 45x23, the terminal has 80x22." in drawn(app)
        assert MIDDLE in written(app)
        await resize(pilot, 45, 23)
        await settle(pilot)
        assert scan(cells(app)) == [MIDDLE]


async def test_the_address_is_copied_and_stays_on_the_screen(path: Path) -> None:
    async with on_stage(path, start="payments", settings=with_url(SHORT)) as (app, pilot):
        await press(pilot, "b", "y")
        assert app.clipboard == SHORT
        assert toasts(app) == ["sent the address to the terminal's clipboard"]
        assert isinstance(app.screen, BillingSystemScreen)
        await settle(pilot)
        assert SHORT in written(app)


async def test_the_address_is_a_link_of_the_terminal_and_no_browser_is_started(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a browser was started")

    for name in ("open", "open_new", "open_new_tab", "get"):
        monkeypatch.setattr(webbrowser, name, opened)
    monkeypatch.setattr(App, "open_url", opened)
    async with on_stage(path, start="payments", settings=with_url(SHORT)) as (app, pilot):
        await press(pilot, "b")
        strips = app.screen._compositor.render_strips()
        linked = [each for strip in strips for each in strip if each.style is not None and each.style.link]
        assert "".join(each.text for each in linked).replace(" ", "") == SHORT
        assert {each.style.link for each in linked if each.style is not None} == {SHORT}
        await pilot.click("#billing-text", offset=(5, 0))
        await press(pilot, "enter", "space")
        assert isinstance(app.screen, BillingSystemScreen)


async def test_without_an_address_the_screen_says_what_to_write_where(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        app.config_file = Path("/srv/[red]conf\x1b[2J/config.toml")
        await press(pilot, "b", "y", "f")
        assert isinstance(app.screen, BillingSystemScreen)
        lines = [line.strip() for line in drawn(app).split("\n")]
        assert "No billing system is set. Write its address into" in lines
        assert "/srv/[red]conf<U+001B>[2J/config.toml:" in lines
        assert lines[lines.index("[billing_system]") + 1] == 'url = "https://billing.example.com/"'
        assert offered(app) == ("back", "help")
        assert app.clipboard == ""
        assert toasts(app) == []
        await press(pilot, "escape")
        assert isinstance(app.screen, PaymentsScreen)


async def test_the_linux_console_gets_the_address_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "linux")
    async with on_stage(path, size=(120, 40), start="payments", settings=with_url(SHORT)) as (app, pilot):
        await press(pilot, "b")
        assert not set(drawn(app)) & set("█▀▄")
        assert "drawn in half blocks, which this terminal may not have" in drawn(app)
        assert SHORT in written(app)
        assert offered(app) == ("copy", "back", "help")
        await press(pilot, "y")
        assert app.clipboard == ""
        assert toasts(app) == ["the Linux console has no clipboard"]


async def test_help_names_the_keys_and_viewers_have_them_too(tmp_path: Path) -> None:
    path = make_database(tmp_path, fill, Role.VIEWER)
    async with on_stage(path, start="payments", settings=with_url(SHORT), role=Role.VIEWER) as (app, pilot):
        await press(pilot, "question_mark", "pagedown")
        assert "b       Go to the billing system: its address and QR." in drawn(app)
        await press(pilot, "escape", "b", "question_mark")
        assert isinstance(app.screen, HelpScreen)
        assert "f       The QR code on the whole screen" in drawn(app)
        await press(pilot, "escape")
        assert scan(cells(app)) == [SHORT]


# Copying elsewhere


async def test_the_number_of_the_order_under_the_cursor_is_copied(path: Path) -> None:
    async with on_stage(path, start="payments") as (app, pilot):
        await press(pilot, "y")
        assert app.clipboard == NUMBER
        assert toasts(app) == [f"sent {NUMBER} to the terminal's clipboard"]
        app.copy_to_clipboard("")
        await press(pilot, "enter", "y")
        assert isinstance(app.screen, OrderInfoScreen)
        assert app.clipboard == NUMBER


async def test_without_an_order_there_is_nothing_to_copy(tmp_path: Path) -> None:
    async with on_stage(make_database(tmp_path, add_office), start="payments") as (app, pilot):
        await press(pilot, "y")
        assert (app.clipboard, toasts(app)) == ("", [])


async def test_coming_back_to_an_empty_list_its_keys_are_keys(tmp_path: Path) -> None:
    async with on_stage(make_database(tmp_path, add_office), start="payments") as (app, pilot):
        await press(pilot, "b", "escape", "q")
        assert isinstance(app.screen, DashboardScreen)


async def test_in_the_filter_the_keys_are_letters(path: Path) -> None:
    async with on_stage(path, start="payments", settings=with_url(SHORT)) as (app, pilot):
        await press(pilot, "slash")
        await write(pilot, "by")
        assert isinstance(app.screen, PaymentsScreen)
        assert app.screen.filter_bar.input.value == "by"
        assert app.clipboard == ""


async def test_a_hostile_number_is_copied_as_it_is_shown(tmp_path: Path) -> None:
    def hostile() -> None:
        add_order(add_office(), [], OrderStatus.FAILED, history=True, number=HOSTILE)

    async with on_stage(make_database(tmp_path, hostile), start="payments") as (app, pilot):
        await press(pilot, "y")
        assert app.clipboard == "x<U+001B>]52;c;aGk=<U+0007><U+000A>rm -rf ~<U+202E>"


# The bytes of a real terminal


def brightness(name: str, default: int) -> int:
    if name == "default":
        return default
    known = {"black": BLACK, "white": WHITE, "brightwhite": WHITE, "brightblack": 85}
    return known[name] if name in known else int(name[:2], 16) if len(name) == 6 else 128


def seen(terminal: Terminal, *, colours: bool) -> list[list[Cell]]:
    rows = []
    for row in terminal.cells:
        of_row = []
        for char in row:
            ink = brightness(char.fg, WHITE) if colours else WHITE
            paper = brightness(char.bg, BLACK) if colours else BLACK
            of_row.append(Cell(char.data, *((paper, ink) if char.reverse else (ink, paper))))
        rows.append(of_row)
    return rows


@pytest.mark.pty
@pytest.mark.parametrize("variables", [{"COLORTERM": "truecolor"}, {}, {"NO_COLOR": "1"}], ids=str)
@pytest.mark.parametrize("term", ["xterm-256color", "xterm", "screen"])
def test_a_terminal_shows_links_and_copies_it(tmp_path: Path, term: str, variables: dict[str, str]) -> None:
    env = {name: value for name, value in environment(tmp_path).items() if name not in ("COLORTERM", "NO_COLOR")}
    config = tmp_path / "config.toml"
    config.write_text(f'[billing_system]\nurl = "{SHORT}"\n', encoding="utf-8")
    env |= {"SMARTSUB_CONFIG": str(config), "LC_ALL": "C.UTF-8", **variables}
    smartsub(env, "init")
    with Terminal([*SMARTSUB, "--screen", "payments"], cwd=tmp_path, env=env, term=term) as terminal:
        terminal.wait_for("No orders yet")
        terminal.type("b")
        terminal.wait_for("y copy")  # the last line comes last
        assert scan(seen(terminal, colours=True)) == [SHORT]
        assert scan(seen(terminal, colours=False)) == [SHORT]
        assert f";{SHORT}\x1b\\".encode() in terminal.output  # OSC 8
        terminal.type("y")
        terminal.wait_for("sent the address")
        assert b"\x1b]52;c;" + base64.b64encode(SHORT.encode()) + b"\x07" in terminal.output
        terminal.type("qqq")
        assert terminal.wait_for_exit() == 0
