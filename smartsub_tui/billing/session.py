"""Who works, from where, on which database: what every read and write is given."""

from __future__ import annotations

from msgspec import Struct

from smartsub_tui.billing.profiles import Profile
from smartsub_tui.billing.providers import Providers
from smartsub_tui.clock import Clock
from smartsub_tui.config import Settings
from smartsub_tui.data.database import Database


class Session(Struct, frozen=True):
    """Who works, from where, on which database, by which clock and settings, in which profile."""

    database: Database
    admin: str
    source: str  # "cli", "app": goes into the audit trail
    clock: Clock
    settings: Settings
    providers: Providers
    profile: Profile = Profile.OPEN
