"""Commands and their keys: listed by screen as they are bound, and given other keys that work and do not clash."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from textual.keys import _character_to_key
from textual.screen import Screen

import smartsub_tui.screens
from smartsub_tui import output
from smartsub_tui.commands import (
    COMMANDS,
    EVERYWHERE,
    INTO_FIELDS,
    OF_SCREEN,
    OF_TRIGGER,
    SOMETIMES,
    TYPED,
    keyed,
    keymap,
    remap,
)
from smartsub_tui.data.vocabulary import Trigger
from smartsub_tui.errors import WrongUsage
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.screens.confirm import ConfirmScreen
from smartsub_tui.screens.help import HelpScreen
from smartsub_tui.widgets.frame import KeyLine
from smartsub_tui.widgets.lines import Lines
from tests.screens.stage import drawn, make_database, on_stage, press, until
from tests.screens.test_journey import fill
from tests.support import SETTINGS

for _module in pkgutil.iter_modules(smartsub_tui.screens.__path__, "smartsub_tui.screens."):
    importlib.import_module(_module.name)


def subclasses(kind: type[Screen]) -> Iterator[type[Screen]]:  # type: ignore[type-arg]
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


SCREENS = {str(each.TITLE): each for each in subclasses(BaseScreen) if each.TITLE}


@pytest.fixture(autouse=True)
def as_made() -> Iterator[None]:
    yield
    remap({})


# What is listed


def test_every_screen_has_its_list_and_every_list_its_screen() -> None:
    assert {*SCREENS, "Pay", "Take back"} == set(OF_SCREEN)
    for title, screen in SCREENS.items():
        assert issubclass(screen, BaseScreen)
        assert OF_SCREEN[title] == screen.COMMANDS_HERE


@pytest.mark.parametrize("title", SCREENS)
def test_what_a_screen_binds_stands_in_its_list(title: str) -> None:
    bound = {binding.id for _, binding in SCREENS[title]._merge_bindings() if binding.id in COMMANDS}
    assert bound <= {*OF_SCREEN[title], *EVERYWHERE}


def test_no_key_is_bound_twice_on_a_screen() -> None:
    for title, ids in OF_SCREEN.items():
        keys = [COMMANDS[each].key for each in dict.fromkeys((*ids, *EVERYWHERE)) if COMMANDS[each].key]
        assert len(keys) == len(set(keys)), title


def test_every_command_stands_somewhere() -> None:
    assert {each for ids in OF_SCREEN.values() for each in ids} | {*EVERYWHERE, *TYPED} == set(COMMANDS)
    assert set(COMMANDS) >= {*SOMETIMES, *INTO_FIELDS}


def test_names_are_typed_with_hyphens_and_are_unlike_each_other() -> None:
    names = [each.name for each in COMMANDS.values()]
    assert len(names) == len(set(names))
    assert not any("_" in name or name != name.lower() for name in names)


def test_listing_keys_needs_no_textual() -> None:
    script = (
        "import sys; from smartsub_tui import commands, output; commands.remap({'delete': 'ctrl+d'});"
        "assert 'Ctrl+D' in output.keys(); sys.exit('textual' in sys.modules or 'rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1]).returncode == 0


def test_records_and_text_say_the_same() -> None:
    text = output.keys()
    for record in output.keys_as_records():
        command = COMMANDS[record["command"]]
        assert record["key"] in (command.shown, "")
        assert command.form in text
        assert record["help"] in text
        assert record["screen"] in text


# Other keys


@given(st.characters(min_codepoint=0x21, max_codepoint=0x17F, exclude_categories=("C", "Z")))
def test_a_character_is_called_as_textual_calls_it(character: str) -> None:
    name = _character_to_key(character)
    if any(command.key == name for command in COMMANDS.values()):
        return  # on some screen it is taken
    made = keyed({"refresh": character})["refresh"]
    assert (made.key, made.shown) == (name, character)


@pytest.mark.parametrize(
    ("text", "key", "shown"),
    [("ctrl+d", "ctrl+d", "Ctrl+D"), ("F8", "f8", "F8"), ("f12", "f12", "F12"), ("DELETE", "delete", "Delete")],
)
def test_a_key_with_a_name(text: str, key: str, shown: str) -> None:
    made = keyed({"delete": text})["delete"]
    assert (made.key, made.shown) == (key, shown)


def test_a_command_is_called_by_its_id_or_its_name() -> None:
    assert keyed({"by-status": "Z"}) == keyed({"by_status": "Z"})


@pytest.mark.parametrize(
    ("id", "text", "sentence"),
    [
        ("delet", "X", "delet is no command that has a key (did you mean delete?)"),
        ("order", "X", "order is no command that has a key"),
        ("back", "X", "back keeps its key, Esc"),
        ("info", "X", "info keeps its key, Enter"),
        ("next_field", "X", "next_field keeps its key, Tab"),
        ("delete", "enter", "Enter keeps its meaning"),
        ("delete", "Esc", "Esc keeps its meaning"),
        ("delete", "pagedown", "Pagedown keeps its meaning"),
        ("delete", "ctrl+w1", "is no key (did you mean Ctrl+W?)"),
        ("delete", "kp_enter", "is no key"),
        ("delete", "", "is no key"),
        ("delete", " ", "is no key"),
        ("delete", "\u202e", "is no key"),
        ("delete", "p", "that key is pay; take another, or give pay another"),
        ("quit", "d", "that key is delete"),
        ("mark", "?", "on Activate that key is help"),
        *(("delete", f"Ctrl+{letter}", "takes that key before smartsub sees it") for letter in "abchijmqsz"),
    ],
)
def test_what_would_not_work_is_refused(id: str, text: str, sentence: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        keyed({id: text})
    assert sentence in refused.value.message


def test_two_commands_can_change_keys() -> None:
    made = keyed({"delete": "p", "pay": "d"})
    assert (made["delete"].key, made["pay"].key) == ("p", "d")


def test_other_keys_stand_everywhere_until_others_are_set() -> None:
    remap({"delete": "ctrl+d"})
    assert (COMMANDS["delete"].shown, OF_TRIGGER[Trigger.DELETE].key) == ("Ctrl+D", "ctrl+d")
    assert keymap() == {"delete": "ctrl+d"}
    assert "| `Ctrl+D` | `delete` |" in output.keys_as_markdown()
    remap({"pay": "Z"})
    assert keymap() == {"pay": "Z"}
    assert OF_TRIGGER[Trigger.DELETE].shown == "d"


def test_a_bar_and_a_backquote_stand_in_the_table() -> None:
    remap({"pay": "|", "delete": "`"})
    page = output.keys_as_markdown()
    assert r"| `\|` | `pay` |" in page
    assert "| `` ` `` | `delete` |" in page


async def test_the_application_listens_to_other_keys_and_shows_them(tmp_path: Path) -> None:
    path = make_database(tmp_path, fill)
    keys = (("fail", "ctrl+d"), ("payments", "0"), ("filter", "F8"), ("down", "N"), ("command", ";"), ("quit", "d"))
    settings = replace(SETTINGS, ui=replace(SETTINGS.ui, keys=(*keys, ("delete", "q"), ("remove_view", "X"))))
    async with on_stage(path, settings=settings) as (app, pilot):
        await press(pilot, "3")
        assert "1 Dashboard   2 Subscriptions   0 Payments" in drawn(app)
        await press(pilot, "0")
        assert "Ctrl+D fail" in drawn(app)
        await press(pilot, "f")
        assert isinstance(app.screen, BaseScreen)
        await press(pilot, "ctrl+d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "escape", "question_mark")
        assert isinstance(app.screen, HelpScreen)
        said = app.screen.query_one(Lines).text
        assert "Ctrl+D  " in said
        assert "F8      " in said
        scrolled = app.screen.query_one(Lines)
        await press(pilot, "j")
        assert scrolled.scroll_offset.y == 0
        await press(pilot, "N")
        assert scrolled.scroll_offset.y == 1
        await press(pilot, "d")
        await press(pilot, "f8", *"1234")
        assert "/1234" in drawn(app)
        await press(pilot, "enter", "semicolon")
        assert app.screen.query("CommandLine")
    async with on_stage(path, start="payments") as (app, _):
        assert "f fail" in drawn(app)
        assert "fail" in app.screen.query_one(KeyLine).shown
