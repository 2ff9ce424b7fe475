"""Which commands a profile closes, and the sentence that says so when their key is pressed.

This mirrors what `billing.profiles` refuses beneath; what is closed on the screen alone (leaving, the clipboard) stands
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.profiles import Profile, why_closed, why_no_files
from smartsub_tui.commands import COMMANDS, key_of
from smartsub_tui.data.vocabulary import Trigger

# What leads to an order, or makes one; the lists of people have no other use.
_ORDERING: Final = (
    *("subscriptions", "office", "activate", "renew", "choose", "holder", "make_order", "mark_all"),
    *("more_months", "fewer_months", "months", "until", "family"),
)
_MARKING: Final = ("mark", "mark_range", "mark_matching", "mark_none", "mark_inverted")
_NEEDS: Final[Mapping[str, Permission | Trigger]] = {
    **dict.fromkeys(_ORDERING, Permission.CREATE),
    **dict.fromkeys(_MARKING, Trigger.CANCEL),  # many at once: nothing is left that is done to them
    "undo": Trigger.RESTORE,
    "import": Permission.IMPORT,
    "export": Permission.EXPORT,
    "save": Permission.KEEP,
    "remove_view": Permission.KEEP,
    "share": Permission.SHARE,
}
_OF_FILES: Final = ("import", "files", "take", "export", "invoice")


def closed_in(profile: Profile) -> dict[str, str]:
    """The commands that are closed in a profile, by their ids, and why."""
    allowed = profile.allows
    closed = {}
    for id, command in COMMANDS.items():
        needed = command.trigger if command.trigger is not None else _NEEDS.get(id)
        if needed is not None and (reason := why_closed(profile, needed)):
            closed[id] = reason
    if reason := why_no_files(profile):
        closed |= dict.fromkeys(_OF_FILES, reason)
    if not allowed.quit:
        closed["quit"] = f"{profile.label} nobody leaves: {key_of('back')} goes back, {key_of('lock')} locks"
    if not allowed.palette:
        closed["palette"] = f"{profile.label} commands have keys alone: {key_of('help')} lists them"
    if not allowed.clipboard:
        closed["copy"] = f"{profile.label} nothing is copied: it can be read, or scanned"
    return closed
