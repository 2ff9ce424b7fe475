"""How a session begins: the database opened for an admin, and what the application knows before its first frame."""

from __future__ import annotations

from time import perf_counter
from typing import Final

from msgspec import Struct

from smartsub_tui.billing import access, payments, views
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.profiles import Profile, permits
from smartsub_tui.billing.providers import of_settings
from smartsub_tui.billing.session import Session
from smartsub_tui.clock import Clock
from smartsub_tui.config import Settings
from smartsub_tui.data.database import Patience, available, open_database
from smartsub_tui.data.filters import Moment, parse_orders
from smartsub_tui.data.queries import OrderPage, Sort, parse_sort, search_orders
from smartsub_tui.data.records import AdminRecord, StateRecord
from smartsub_tui.data.vocabulary import Trigger
from smartsub_tui.errors import Unavailable

MODES: Final = ("dashboard", "subscriptions", "payments")
_BOX: Final = 0.05  # seconds that the first rows may take: the first frame waits for them


def open_session(
    url: str,
    admin: str,
    source: str,
    clock: Clock,
    settings: Settings,
    *,
    create: bool = False,
    profile: Profile = Profile.OPEN,
    read_only: bool = False,
    patience: Patience | None = None,
) -> Session:
    """The database open in this thread. With `create` a missing one is made, and whoever makes it is its manager.

    `read_only`: whatever is asked, the connection itself changes nothing. `patience`: how long a server that is away is
    waited for.
    """
    create = create and not read_only
    database = open_database(url, create=create, read_only=read_only, patience=patience)
    try:
        if create and not access.has_admins():  # else nothing is to be written, and nobody waited for who writes
            with available(), database.writing():
                access.found_manager(admin, clock.now())
        with available():
            access.see_as(database, admin)
    except BaseException:
        database.close()
        raise
    return Session(database, admin, source, clock, settings, of_settings(settings, clock), profile)


class First(Struct, frozen=True):
    """The first rows of Payments, whether there are no others, and what can be done to the first, by its version."""

    page: OrderPage
    all: bool
    offers: dict[tuple[str, int], tuple[Trigger, ...]]


class Opening(Struct, frozen=True):
    """What the application opens with.

    `mode` is its first screen; `filter` and `sort` are those of Payments, and `first` its rows where that is the first
    screen and they were found in time. `last` is how the admin left it; `version` is the state of the database before
    anything of it is shown.
    """

    admin: AdminRecord
    last: StateRecord | None
    version: int
    mode: str
    filter: str
    sort: Sort
    first: First | None


def look(session: Session, mode: str | None = None, filter_text: str | None = None, *, rows: int = 64) -> Opening:
    """What is there before Textual is: read while that is imported.

    What is not said of the mode and the filter is as the admin left it. Raises NotAllowed where they may not look.
    """
    version = session.database.data_version()
    admin = access.who_offers(session.database, session.admin)
    last = views.last_state(session)
    text, sort = filter_text or "", Sort()
    if filter_text is None and last is not None:
        text, sort = last.filter, parse_sort(last.sort)
    if filter_text:
        mode = "payments"
    elif mode is None:
        mode = last.mode if last is not None and last.mode in MODES else MODES[0]
    first = _first(session, admin, text, sort, rows) if mode == "payments" else None
    return Opening(admin, last, version, mode, text, sort, first)


def _first(session: Session, admin: AdminRecord, text: str, sort: Sort, rows: int) -> First | None:
    """None where it takes too long, or cannot be read: the screen asks again, and tells."""
    time_out_due(session)
    moment, end = Moment(session.clock.now(), session.settings.ui.timezone), perf_counter() + _BOX
    session.database.watch(lambda: False, until=end)
    try:
        with available():
            page = search_orders(parse_orders(text), moment, sort=sort, limit=rows)
            versions = {row.number: row.version for row in page.rows[:1]}
            offers = payments.offers_of(versions, admin, moment.now)
    except Unavailable:
        return None
    finally:
        session.database.watch(None)
    offered = {
        (number, versions[number]): tuple(each for each in triggers if permits(session.profile, each))
        for number, triggers in offers.items()
    }
    return First(page, len(page.rows) < rows, offered)
