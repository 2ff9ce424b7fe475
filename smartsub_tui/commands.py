"""Every user command once: its key, label and help. Footers, help, key maps and the `:` line derive from this table.

Keys of actions are the same on every screen. `danger` marks what asks before it does anything. Importing this module
imports no Textual: the command line lists and checks keys without it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from smartsub_tui.data.vocabulary import Trigger
from smartsub_tui.errors import WrongUsage

if TYPE_CHECKING:
    from textual.binding import BindingType


class Command(Struct, frozen=True):
    """`key` in Textual's names, `shown` as people type it, both empty where only its name runs it.

    `trigger` where it moves an order; `takes` where something may follow its name, in brackets where it need not.
    """

    id: str
    key: str
    shown: str
    label: str
    help: str
    danger: bool = False
    trigger: Trigger | None = None
    takes: str = ""

    @property
    def name(self) -> str:
        """What is typed behind `:`."""
        return self.id.replace("_", "-")

    @property
    def form(self) -> str:
        """The name with what may follow it."""
        return f"{self.name} {self.takes}".rstrip()

    @property
    def needs(self) -> bool:
        """Whether its name alone is not enough."""
        return self.takes != "" and not self.takes.startswith("[")


_ALL: Final = (
    Command("dashboard", "1", "1", "dashboard", "The offices, and what needs you."),
    Command("subscriptions", "2", "2", "subscriptions", "Activate and renew the people of an office."),
    Command("payments", "3", "3", "payments", "The orders: search, pay, details, delete.", takes="[FILTER]"),
    Command(
        "order", "", "", "order", "An order by its number; Payments with all that have such a part.", takes="NUMBER"
    ),
    Command("office", "", "", "office", "Renew the people of an office.", takes="NAME"),
    Command("view", "", "", "view", "Payments with a saved filter.", takes="NAME"),
    Command("views", "w", "w", "views", "The saved filters: open one, remove one."),
    Command("save", "W", "W", "save view", "Save this filter and sort under a name.", takes="NAME"),
    Command("share", "", "", "share", "Save this filter and sort under a name, for everyone.", takes="NAME"),
    Command("remove_view", "d", "d", "remove", "Remove the saved filter under the cursor.", True),
    Command("command", "colon", ":", "command", "Type a command, such as payments status:failed; Tab lists them."),
    Command("palette", "ctrl+p", "Ctrl+P", "all commands", "The list of all commands, less with every letter typed."),
    Command("open", "enter", "Enter", "open", "Open what the cursor is on."),
    Command("info", "enter", "Enter", "info", "All about the order under the cursor."),
    Command("back", "escape", "Esc", "back", "Go back; out of a field, to the table."),
    Command("quit", "q", "q", "quit", "Go back, or from the first screen leave smartsub."),
    Command("help", "question_mark", "?", "help", "The keys of this screen, and what the statuses mean."),
    Command("messages", "M", "M", "messages", "What was told in this session, with times."),
    Command(
        "filter", "slash", "/", "filter", "Type a filter: status:failed 0042 for orders, state:expiring for people."
    ),
    Command("by_status", "S", "S", "status", "Only orders of the next status; behind the last, of all."),
    Command("by_type", "t", "t", "type", "Only orders of the next type; behind the last, of all."),
    Command("refresh", "f5", "F5", "refresh", "Read the screen's data again, and draw all of it."),
    Command("lock", "ctrl+l", "Ctrl+L", "lock", "Lock the screen at once; your PIN opens it again."),
    Command("down", "j", "j", "down", "One row down."),
    Command("up", "k", "k", "up", "One row up."),
    Command("left", "h", "h", "left", "One column to the left."),
    Command("right", "l", "l", "right", "One column to the right."),
    Command("first", "g", "g", "first", "To the first row."),
    Command("last", "G", "G", "last", "To the last row."),
    Command("activate", "a", "a", "activate", "Activate departments of the office."),
    Command("renew", "n", "n", "renew", "Renew people of the office."),
    Command("orders", "o", "o", "orders", "The orders of the office under the cursor."),
    Command("unpaid", "U", "U", "unpaid", "The unpaid orders of the office under the cursor."),
    Command("expiring", "E", "E", "expiring", "Whose subscription runs out when, by office and month, and its money."),
    Command("currency", "dollar_sign", "$", "currency", "The amounts of the next currency; amounts are never mixed."),
    Command("triage", "T", "T", "triage", "What needs you as one queue, the worst first, to be worked off."),
    Command(
        "later", "greater_than_sign", ">", "later", "Leave it for later: to the end of its rank, for this session."
    ),
    Command("people_or_money", "v", "v", "people/money", "Between the number of people and the money of a month."),
    Command("days_or_months", "t", "t", "days/months", "Between the next days and the next months."),
    Command(
        "import", "I", "I", "import", "Import prices, users and orders from CSV files, after a look at what they bring."
    ),
    Command("files", "slash", "/", "files", "Type the names of the files."),
    Command("take", "y", "y", "import", "Import what was looked at: all of it, or nothing."),
    Command("choose", "enter", "Enter", "choose", "Renew people of the office under the cursor."),
    Command("next_field", "tab", "Tab", "next part", "On to the next part of the screen."),
    Command("way_after", "down", "Up Down", "way", "Another way to pay."),
    Command("way_before", "up", "Up", "way", "The way to pay before."),
    Command("months", "m", "m", "months", "Type the number of months, 1 to 60."),
    Command("until", "u", "u", "until", "Type the date to renew to; communities only."),
    Command("family", "v", "v", "family", "Between users with property managers, and family members."),
    Command("sort", "s", "s", "sort", "Sort by the next column; the arrow in the head shows which way."),
    Command("holder", "o", "o", "its order", "The open order that holds the person under the cursor."),
    Command("mark", "space", "Space", "mark", "Mark or unmark what is under the cursor."),
    Command("export", "e", "e", "export", "Write the rows of this list to a file, CSV or JSON Lines."),
    Command("mark_range", "V", "V", "range", "Mark everything between what was marked last and the cursor."),
    Command("mark_matching", "plus", "+", "all", "Mark all orders that the filter lets through, wherever they stand."),
    Command("mark_none", "minus", "-", "none", "Take all marks away."),
    Command(
        "mark_inverted", "asterisk", "*", "invert", "Mark what is not marked, and only that, of what the filter finds."
    ),
    Command("at_time", "at", "@", "time", "To the orders of a day or an hour."),
    Command("mark_all", "A", "A", "all", "Mark everyone whom the filter lets through, or nobody."),
    Command("more_months", "plus", "+", "more", "One month more."),
    Command("fewer_months", "minus", "-", "fewer", "One month fewer."),
    Command("make_order", "enter", "Enter", "order", "Make one order of what is marked, after a last look."),
    Command("neighbour_before", "left_square_bracket", "[", "order before", "The order above this one in the list."),
    Command("neighbour_after", "right_square_bracket", "]", "order after", "The order below this one in the list."),
    Command("billing", "b", "b", "billing", "Go to the billing system: its address and QR."),
    Command("copy", "y", "y", "copy", "The order's number, or the address, to the terminal's clipboard."),
    Command("full_screen", "f", "f", "full screen", "The QR code on the whole screen; any key goes back."),
    Command("bank_instead", "m", "m", "bank transfer", "Pay by bank transfer instead; the link is ended first.", True),
    Command("pay", "p", "p", "pay", "Pay the order: money that is here, a link, a transfer.", True, Trigger.PAY),
    Command("confirm", "c", "c", "confirm", "Say that the money for the order came.", True, Trigger.CONFIRM),
    Command("fail", "f", "f", "fail", "Mark the order as Failed.", True, Trigger.FAIL),
    Command("again", "r", "r", "order again", "A new order for the same people at today's price.", True, Trigger.AGAIN),
    Command("cancel", "x", "x", "cancel", "Cancel the order; its people are free again.", True, Trigger.CANCEL),
    Command("delete", "d", "d", "delete", "Hide the order; restore brings it back.", True, Trigger.DELETE),
    Command("restore", "D", "D", "restore", "Bring a deleted order back.", True, Trigger.RESTORE),
    Command("apply", "A", "A", "apply", "Settle the order with the money that waits on it.", True, Trigger.APPLY),
    Command("refund", "R", "R", "refund", "Pay the waiting money back; no date moves.", True, Trigger.REFUND),
    Command(
        "credit",
        "C",
        "C",
        "take back",
        "Take a paid order back, or people of it: dates and money.",
        True,
        Trigger.CREDIT,
    ),
    Command("invoice", "i", "i", "invoice", "Save the invoice of the order as PDF."),
    Command("undo", "u", "u", "undo", "Take back the last deletion, restoring or marking of this session."),
)
# As they are keyed in this process: `remap` puts the keys of the settings in.
COMMANDS: Final = {command.id: command for command in _ALL}
OF_TRIGGER: Final = {command.trigger: command for command in _ALL if command.trigger is not None}
ORDER_ACTIONS: Final = (*(command.id for command in _ALL if command.trigger is not None), "invoice")
# These lead into a field. They run before the next key is looked at, so that what is typed ahead arrives there.
INTO_FIELDS: Final = ("filter", "months", "until", "files", "command", "save")

EVERYWHERE: Final = (
    "dashboard",
    "subscriptions",
    "payments",
    "down",
    "up",
    "first",
    "last",
    "command",
    "palette",
    "messages",
    "refresh",
    "lock",
    "help",
    "back",
    "quit",
)
# What is only typed, on every screen.
TYPED: Final = ("order", "office", "view", "expiring", "triage")
# Of each screen, by its title, in the order of its help.
OF_SCREEN: Final[Mapping[str, tuple[str, ...]]] = {
    "Dashboard": (
        "open",
        "triage",
        "activate",
        "renew",
        "orders",
        "unpaid",
        "expiring",
        "currency",
        "import",
        "next_field",
    ),
    "Expiring": ("open", "left", "right", "people_or_money", "currency", "days_or_months"),
    "Import": ("take", "files", "down", "up"),
    "Subscriptions": ("choose", "activate", "renew", "orders"),
    "Activate": ("make_order", "mark", "mark_all", "family", "next_field", "holder", "renew"),
    "Renew": (
        "make_order",
        "mark",
        "mark_all",
        "more_months",
        "fewer_months",
        "months",
        "until",
        "family",
        "filter",
        "holder",
        "export",
        "activate",
    ),
    "Payments": (
        "info",
        "filter",
        "by_status",
        "by_type",
        "sort",
        "at_time",
        "views",
        "save",
        "share",
        "mark",
        "mark_range",
        "mark_matching",
        "mark_none",
        "mark_inverted",
        "export",
        "triage",
        *ORDER_ACTIONS,
        "undo",
        "billing",
        "copy",
    ),
    "Triage": ("info", "later", "renew", *ORDER_ACTIONS, "undo", "billing", "copy"),
    "Views": ("open", "remove_view", "back"),
    "Order info": (
        *ORDER_ACTIONS,
        "undo",
        "billing",
        "copy",
        "neighbour_before",
        "neighbour_after",
        "filter",
        "back",
    ),
    "Pay": ("way_after", "way_before", "full_screen"),
    "Take back": ("mark", "mark_all", "down", "up", "first", "last", "next_field"),
    "Payment link": ("copy", "full_screen", "bank_instead", "invoice", "back"),
    "Billing system": ("copy", "full_screen", "back"),
    "Messages": ("down", "up", "first", "last", "back"),
    "Help": ("down", "up", "first", "last", "back"),
}
# What is possible only while the key line of the screen shows it.
SOMETIMES: Final = frozenset(
    {
        *ORDER_ACTIONS,
        *("activate", "renew", "orders", "unpaid", "import", "holder", "copy", "full_screen"),
        "bank_instead",
        *("neighbour_before", "neighbour_after", "undo"),
    }
)


# What the place where this process runs does not let anyone do, and why: `close` says so.
CLOSED: Final[dict[str, str]] = {}


def close(reasons: Mapping[str, str]) -> None:
    """Close these commands, and no others, for the whole process: they are offered nowhere, and say why when asked."""
    CLOSED.clear()
    CLOSED.update(reasons)


def key_of(id: str) -> str:
    """The key of a command, as people type it: for sentences that name one."""
    return COMMANDS[id].shown


def bindings(*ids: str) -> list[BindingType]:
    """Textual's bindings of these commands; the action of command `x` is `action_x`."""
    from textual.binding import Binding

    return [
        Binding(command.key, command.id, command.label, show=False, id=command.id, priority=command.id in INTO_FIELDS)
        for command in (_AS_MADE[each] for each in ids)
    ]


_TYPED: Final = "Typed behind :, everywhere"


def sheet() -> list[tuple[str, list[Command]]]:
    """All commands by screen: what works everywhere, what is only typed, then what each screen has beside them."""
    groups = {"Everywhere": EVERYWHERE, _TYPED: TYPED} | {
        title: tuple(each for each in ids if each not in EVERYWHERE) for title, ids in OF_SCREEN.items()
    }
    sheet = [(title, [COMMANDS[each] for each in ids]) for title, ids in groups.items() if ids]
    return [(title, [replace(each, shown="") for each in ids] if title == _TYPED else ids) for title, ids in sheet]


# Other keys

_AS_MADE: Final = dict(COMMANDS)
# They lead out of everything and into everything, or move the cursor.
_KEPT: Final = {
    "enter": "Enter",
    "escape": "Esc",
    "esc": "Esc",
    "tab": "Tab",
    **{name: name.capitalize() for name in ("up", "down", "left", "right", "home", "end", "pageup", "pagedown")},
}
_NAMED: Final = {
    "space": "Space",
    "insert": "Insert",
    "delete": "Delete",
    "backspace": "Backspace",
    **{f"f{number}": f"F{number}" for number in range(1, 13)},
    **{f"ctrl+{letter}": f"Ctrl+{letter.upper()}" for letter in "abcdefghijklmnopqrstuvwxyz"},
}
# Who gets these before smartsub does.
_EATEN: Final = {
    "ctrl+a": "screen",
    "ctrl+b": "tmux",
    "ctrl+c": "the terminal, to interrupt",
    "ctrl+h": "the terminal, as Backspace",
    "ctrl+i": "the terminal, as Tab",
    "ctrl+j": "the terminal, as Enter",
    "ctrl+m": "the terminal, as Enter",
    "ctrl+q": "flow control",
    "ctrl+s": "flow control",
    "ctrl+z": "the shell, to suspend",
}
_REPLACED: Final = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}


def remap(keys: Mapping[str, str]) -> None:
    """Put these keys in the place of those that the commands were made with, for the whole process.

    Raises WrongUsage as `keyed` does.
    """
    changed = keyed(keys)
    COMMANDS.update(changed)
    OF_TRIGGER.update({command.trigger: command for command in changed.values() if command.trigger is not None})


def keymap() -> dict[str, str]:
    """The keys that are others than the commands were made with, for Textual."""
    return {id: command.key for id, command in COMMANDS.items() if command.key != _AS_MADE[id].key}


def keyed(keys: Mapping[str, str]) -> dict[str, Command]:
    """The commands with other keys: id or name -> a character, or a name of a key as F8, Ctrl+D, Space.

    Raises WrongUsage, naming the nearest, for a command or a key that is unknown, for a key that never arrives or that
    keeps its meaning, and for one that a screen has twice.
    """
    made = dict(_AS_MADE)
    keys = {name.replace("-", "_"): text for name, text in keys.items()}
    for id, text in keys.items():
        command = made.get(id)
        if command is None or not command.key:
            near = _did_you_mean(id, [each.id for each in _ALL if each.key])
            raise WrongUsage(f"{id} is no command that has a key{near}: smartsub keys lists them")
        if command.key in _KEPT:
            raise WrongUsage(f"{id} keeps its key, {command.shown}: leave it out")
        key, shown = _read_key(id, text)
        made[id] = replace(command, key=key, shown=shown)
    for title, here in OF_SCREEN.items():
        owners: dict[str, str] = {}
        for id in dict.fromkeys((*here, *EVERYWHERE)):
            key = made[id].key
            other = owners.setdefault(key, id) if key else id
            if other != id and (id in keys or other in keys):
                mine, theirs = (id, other) if id in keys else (other, id)
                raise WrongUsage(
                    f"{mine} = {keys[mine]!r}: on {title} that key is {theirs}; take another, or give {theirs} another"
                )
    return made


def _read_key(id: str, text: str) -> tuple[str, str]:
    """Textual's name of a key, and how it is shown."""
    low = text.lower()
    if low in _KEPT:
        raise WrongUsage(f"{id} = {text!r}: {_KEPT[low]} keeps its meaning on every screen, take another key")
    if low in _EATEN:
        raise WrongUsage(f"{id} = {text!r}: {_EATEN[low]} takes that key before smartsub sees it, take another")
    if low in _NAMED:
        return low, _NAMED[low]
    if len(text) == 1 and text.isprintable() and not text.isspace():
        return _key_of(text), text
    near = _did_you_mean(low, list(_NAMED), _NAMED)
    raise WrongUsage(f"{id} = {text!r} is no key{near}: write a character, or a name as F8 or Ctrl+D")


def _key_of(character: str) -> str:
    """The name that Textual gives the key of a character."""
    if character.isalnum():
        return character
    name = re.sub("[- ]", "_", unicodedata.name(character, character).lower())
    return _REPLACED.get(name, name)


def _did_you_mean(word: str, known: Iterable[str], shown: Mapping[str, str] | None = None) -> str:
    near = nearest(word, known)
    return f" (did you mean {shown[near] if shown else near}?)" if near else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """What is written most like `word`, if anything is."""
    import difflib  # only a mistake needs it

    near = difflib.get_close_matches(word.lower(), list(known), 1, 0.5)
    return near[0] if near else None
