"""Saved views: filters of orders under a name, an admin's own and everyone's; and how each admin left the application.

A view is text: what is saved is read first, so that a view never holds a filter or a sort that is none.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from smartsub_tui.billing import access, profiles
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import Change, check_text, perform
from smartsub_tui.billing.session import Session
from smartsub_tui.data import queries
from smartsub_tui.data.database import available, rows
from smartsub_tui.data.filters import parse_orders
from smartsub_tui.data.models import Admin, LastState, SavedView
from smartsub_tui.data.records import StateRecord, ViewRecord
from smartsub_tui.data.text import folded
from smartsub_tui.errors import NotFound, Unavailable, WrongUsage

LONGEST_NAME: Final = 60
NEWEST_FIRST: Final = queries.Sort().describe()


# Views


def views(session: Session) -> list[ViewRecord]:
    """Those of the session's admin, then everyone's; each by name."""
    return [*_views_of(_admin_id(session.admin)), *_views_of(None)]


def find_view(session: Session, name: str) -> ViewRecord:
    """The view of that name, whatever the case of its letters; one's own goes before everyone's.

    Raises NotFound, naming the nearest.
    """
    known = views(session)
    found = next((each for each in known if folded(each.name) == folded(name)), None)
    if found is None:
        raise NotFound(_no_view(name, known))
    return found


def save_view(
    session: Session,
    name: str,
    filter_text: str,
    sort_text: str = NEWEST_FIRST,
    *,
    shared: bool = False,
    request_id: str | None = None,
    dry_run: bool = False,
) -> ViewRecord:
    """Keep a filter and a sort under a name, for the admin or for everyone; in the place of one of that name.

    Raises WrongUsage for a name, a filter or a sort that is none, NotAllowed.
    """
    said = _check_name(name)
    chosen = parse_orders(filter_text).describe()
    sort = queries.parse_sort(sort_text).describe()

    def work(change: Change) -> ViewRecord:
        owner = None if shared else _admin_id(change.admin.name)
        made = ViewRecord(name=said, filter=chosen, sort=sort, shared=shared)
        row = _row(owner, said)
        before = None if row is None else _record(row, shared)
        if before == made:
            return made
        row = row or SavedView(owner=owner)
        row.name, row.name_folded, row.filter_text, row.sort = said, folded(said), chosen, sort
        row.save()
        was = None if before is None else _columns(before)
        change.record("save_view", subject=said, before=was, after=_columns(made))
        return made

    arguments = {"name": said, "filter": chosen, "sort": sort, "shared": shared}
    permission = Permission.SHARE if shared else Permission.KEEP
    return perform(session, permission, arguments, ViewRecord, work, request_id=request_id, dry_run=dry_run)


def remove_view(
    session: Session, name: str, *, shared: bool = False, request_id: str | None = None, dry_run: bool = False
) -> ViewRecord:
    """Forget a view of the admin, or one of everyone's; returns what it was.

    Raises NotFound, naming the nearest; NotAllowed.
    """
    said = _check_name(name)

    def work(change: Change) -> ViewRecord:
        owner = None if shared else _admin_id(change.admin.name)
        row = _row(owner, said)
        if row is None:
            raise NotFound(_no_view(said, _views_of(owner)))
        was = _record(row, shared)
        row.delete_instance()
        change.record("remove_view", subject=was.name, before=_columns(was))
        return was

    arguments = {"remove": said, "shared": shared}
    permission = Permission.SHARE if shared else Permission.KEEP
    return perform(session, permission, arguments, ViewRecord, work, request_id=request_id, dry_run=dry_run)


def _check_name(name: str) -> str:
    said = check_text("name", name)
    if len(said) > LONGEST_NAME:
        raise WrongUsage(f"name has {len(said)} characters, a view's has at most {LONGEST_NAME}")
    return said


def _admin_id(name: str) -> int:
    return int(Admin.get(Admin.name == name).id)


def _row(owner: int | None, name: str) -> Any:
    return SavedView.get_or_none(_owned_by(owner) & (SavedView.name_folded == folded(name)))


def _owned_by(owner: int | None) -> Any:
    return SavedView.owner.is_null() if owner is None else SavedView.owner == owner


def _views_of(owner: int | None) -> list[ViewRecord]:
    found = SavedView.select().where(_owned_by(owner)).order_by(SavedView.name_folded)
    return [_record(row, owner is None) for row in found]


def _record(row: Any, shared: bool) -> ViewRecord:
    return ViewRecord(name=row.name, filter=row.filter_text, sort=row.sort, shared=shared)


def _columns(view: ViewRecord) -> dict[str, Any]:
    return {"filter": view.filter, "sort": view.sort, "shared": view.shared}


def _no_view(name: str, known: list[ViewRecord]) -> str:
    near = queries.nearest(name, [each.name for each in known])
    return f"no view is called {name!r}: {near or 'w in Payments and smartsub views list them'}"


# How the application was left


def last_state(session: Session) -> StateRecord | None:
    """How the admin left the application; what can no longer be read of it is as at the first time."""
    found = list(
        rows(
            LastState.select(LastState.mode, LastState.filter_text, LastState.sort)
            .join(Admin)
            .where(Admin.name == session.admin)
        )
    )
    if not found:
        return None
    mode, filter_text, sort_text = found[0]
    state = StateRecord(mode=mode, filter="", sort=NEWEST_FIRST)
    with suppress(WrongUsage):
        state = StateRecord(mode=mode, filter=parse_orders(filter_text).describe(), sort=state.sort)
    with suppress(WrongUsage):
        state = StateRecord(mode=mode, filter=state.filter, sort=queries.parse_sort(sort_text).describe())
    return state


def keep_state(session: Session, state: StateRecord) -> bool:
    """Keep how the admin leaves the application; whether it could be kept at once.

    It changes nothing that anybody else sees, so it leaves no trail; and nobody waits for it, so it does not wait
    either: where another process is writing just now, or this one only reads, the state of before stays.
    """
    if session.database.reads_only:
        return False
    try:
        profiles.check(session.profile, Permission.KEEP)
        with available(), session.database.writing_at_once():
            admin = access.check(session.admin, Permission.READ)
            values = {"mode": state.mode, "filter_text": state.filter, "sort": state.sort}
            LastState.insert(admin=_admin_id(admin.name), **values).on_conflict(
                conflict_target=[LastState.admin], update=values
            ).execute()
    except Unavailable:
        return False
    return True
