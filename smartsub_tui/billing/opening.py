"""How a session begins: the database opened for an admin, and what the application knows before its first frame."""

from __future__ import annotations

from msgspec import Struct

from smartsub_tui.billing import access, views
from smartsub_tui.billing.session import Session
from smartsub_tui.clock import Clock
from smartsub_tui.config import Settings
from smartsub_tui.data.database import available, open_database
from smartsub_tui.data.records import AdminRecord, StateRecord


def open_session(
    url: str, admin: str, source: str, clock: Clock, settings: Settings, *, create: bool = False
) -> Session:
    """The database open in this thread. With `create` a missing one is made, and whoever makes it is its manager."""
    database = open_database(url, create=create)
    try:
        if create:
            with available(), database.writing():
                access.found_manager(admin, clock.now())
    except BaseException:
        database.close()
        raise
    return Session(database, admin, source, clock, settings)


class Opening(Struct, frozen=True):
    """Who it is, how they left the application, and the state of the database before anything of it is shown."""

    admin: AdminRecord
    last: StateRecord | None
    version: int


def look(session: Session) -> Opening:
    """What the application opens with; raises NotAllowed where the admin may not look."""
    version = session.database.data_version()
    return Opening(access.check(session.admin, access.Permission.READ), views.last_state(session), version)
