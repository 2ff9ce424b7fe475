"""Profiles: what the place where smartsub runs lets anyone do, whoever they are. A role allows, a profile only closes.

A profile is given by the option `--profile` of whoever starts smartsub (a wrapper behind sshd, a unit of systemd) and
by nothing else: no variable of the environment and no setting, for those may be in the hands of whoever is let in.

It holds beneath the screens: each write asks here beside the role (`changes.perform`), and so does whatever reads or
writes a file that someone named. Screens and commands only mirror it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from msgspec import Struct

from smartsub_tui.billing.access import Permission
from smartsub_tui.data.vocabulary import Trigger, Word
from smartsub_tui.errors import NotAllowed


class Profile(Word):
    """Where smartsub runs; the label stands in a sentence."""

    OPEN = "open", "here"
    SSH = "ssh", "over SSH"
    KIOSK = "kiosk", "at the kiosk"

    @property
    def allows(self) -> Allowed:
        return ALLOWED[self]

    @property
    def is_restricted(self) -> bool:
        """Whether whoever works is to have nothing of this machine but smartsub."""
        return self is not Profile.OPEN


class Allowed(Struct, frozen=True, kw_only=True):
    """What a profile lets be done; what it does not name, the role decides.

    A suspended process, a browser and Textual's screenshots are no fields: there are none, in any profile.
    """

    quit: bool = True
    palette: bool = True  # the list of all commands
    files: bool = True  # reading and writing files of this machine: exports, imports, invoices, backups, config.toml
    clipboard: bool = True  # the terminal's, by OSC 52
    links: bool = True  # addresses that the terminal may offer to open, by OSC 8
    environment: bool = True  # SMARTSUB_DATABASE, SMARTSUB_CONFIG and the variables of Textual
    lock_after: timedelta | None = None  # without a key
    end_after: timedelta | None = None
    needs_pin: bool = False  # does not begin without one
    permissions: frozenset[Permission | Trigger] | None = None  # None: those of the role
    commands: frozenset[str] | None = None  # of the command line; None: all


_LOOKING: Final = frozenset({"offices", "users", "orders", "order", "export"})
# What a payment that is under way brings with it: it is asked about, and its answer moves the order.
_PAYING: Final[frozenset[Permission | Trigger]] = frozenset(
    {
        Permission.READ,
        Permission.SWEEP,
        Trigger.PAY,
        Trigger.LINK,
        Trigger.TIME_OUT,
        Trigger.UNDER_WAY,
        Trigger.ARRIVE,
        Trigger.NOT_TAKEN,
        Trigger.DECLINE,
    }
)
ALLOWED: Final[Mapping[Profile, Allowed]] = {
    Profile.OPEN: Allowed(),
    Profile.SSH: Allowed(
        files=False,
        environment=False,
        lock_after=timedelta(minutes=10),
        end_after=timedelta(minutes=60),
        commands=_LOOKING,
    ),
    Profile.KIOSK: Allowed(
        quit=False,
        palette=False,
        files=False,
        clipboard=False,
        links=False,
        environment=False,
        lock_after=timedelta(minutes=2),
        needs_pin=True,
        permissions=_PAYING,
        commands=frozenset(),
    ),
}


def permits(profile: Profile, permission: Permission | Trigger) -> bool:
    """Whether the profile leaves `permission` to the role."""
    permissions = profile.allows.permissions
    return permissions is None or permission in permissions


def why_closed(profile: Profile, permission: Permission | Trigger) -> str:
    """The sentence that says that the profile closes `permission`; empty where it does not."""
    if permits(profile, permission):
        return ""
    return f"{profile.label} nobody may {permission.label}: do it at another terminal"


def why_no_files(profile: Profile) -> str:
    """The sentence that says that no file of this machine may be named; empty where one may."""
    return "" if profile.allows.files else f"{profile.label} no files are read or written: do it on the machine itself"


def check(profile: Profile, permission: Permission | Trigger) -> None:
    """Raise NotAllowed where the profile closes `permission`, whoever asks."""
    if reason := why_closed(profile, permission):
        raise NotAllowed(reason)


def check_files(profile: Profile) -> None:
    """Raise NotAllowed where the profile lets no file of this machine be read or written."""
    if reason := why_no_files(profile):
        raise NotAllowed(reason)
