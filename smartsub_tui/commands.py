"""Every user command once: its key, label and help. Footers, help and key maps derive from this table.

Keys of actions are the same on every screen. `danger` marks what asks before it does anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from textual.binding import Binding, BindingType

from smartsub_tui.data.vocabulary import Trigger


@dataclass(frozen=True, slots=True)
class Command:
    """`key` in Textual's names, `shown` as people type it; `trigger` where it moves an order."""

    id: str
    key: str
    shown: str
    label: str
    help: str
    danger: bool = False
    trigger: Trigger | None = None


_ALL: Final = (
    Command("dashboard", "1", "1", "dashboard", "The offices, and what needs you."),
    Command("subscriptions", "2", "2", "subscriptions", "Activate and renew the people of an office."),
    Command("payments", "3", "3", "payments", "The orders: search, pay, details, delete."),
    Command("open", "enter", "Enter", "open", "Open what the cursor is on."),
    Command("info", "enter", "Enter", "info", "All about the order under the cursor."),
    Command("back", "escape", "Esc", "back", "Go back; out of a field, to the table."),
    Command("quit", "q", "q", "quit", "Go back, or from the first screen leave smartsub."),
    Command("help", "question_mark", "?", "help", "The keys of this screen, and what the statuses mean."),
    Command("messages", "M", "M", "messages", "What was told in this session, with times."),
    Command("filter", "slash", "/", "filter", "Type a filter, such as status:failed type:subscription 0042."),
    Command("by_status", "S", "S", "status", "Only orders of the next status; behind the last, of all."),
    Command("by_type", "t", "t", "type", "Only orders of the next type; behind the last, of all."),
    Command("refresh", "f5", "F5", "refresh", "Read the screen's data again."),
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
    Command("take", "y", "y", "import", "Import what was looked at: all of it, or nothing.", True),
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
    Command("order", "enter", "Enter", "order", "Make one order of what is marked, after a last look."),
    Command("neighbour_before", "left_square_bracket", "[", "order before", "The order above this one in the list."),
    Command("neighbour_after", "right_square_bracket", "]", "order after", "The order below this one in the list."),
    Command("billing", "b", "b", "billing", "Go to the billing system: its address and QR."),
    Command("copy", "y", "y", "copy", "The order's number, or the address, to the terminal's clipboard."),
    Command("full_screen", "f", "f", "full screen", "The QR code on the whole screen; any key goes back."),
    Command("pay", "p", "p", "pay", "Pay the order with money that is here.", True, Trigger.PAY),
    Command("confirm", "c", "c", "confirm", "Say that the money for the order came.", True, Trigger.CONFIRM),
    Command("fail", "f", "f", "fail", "Mark the order as Failed.", True, Trigger.FAIL),
    Command("again", "r", "r", "order again", "A new order for the same people at today's price.", True, Trigger.AGAIN),
    Command("cancel", "x", "x", "cancel", "Cancel the order; its people are free again.", True, Trigger.CANCEL),
    Command("delete", "d", "d", "delete", "Hide the order; D brings it back.", True, Trigger.DELETE),
    Command("restore", "D", "D", "restore", "Bring a deleted order back.", True, Trigger.RESTORE),
    Command("apply", "A", "A", "apply", "Settle the order with the money that waits on it.", True, Trigger.APPLY),
    Command("invoice", "i", "i", "invoice", "Save the invoice of the order as PDF."),
    Command("undo", "u", "u", "undo", "Take back the last deletion, restoring or marking of this session."),
)
COMMANDS: Final = {command.id: command for command in _ALL}
OF_TRIGGER: Final = {command.trigger: command for command in _ALL if command.trigger is not None}
ORDER_ACTIONS: Final = (*(command.id for command in _ALL if command.trigger is not None), "invoice")
# These lead into a field. They run before the next key is looked at, so that what is typed ahead arrives there.
INTO_FIELDS: Final = ("filter", "months", "until", "files")


def bindings(*ids: str) -> list[BindingType]:
    """Textual's bindings of these commands; the action of command `x` is `action_x`."""
    return [
        Binding(command.key, command.id, command.label, show=False, id=command.id, priority=command.id in INTO_FIELDS)
        for command in (COMMANDS[each] for each in ids)
    ]
