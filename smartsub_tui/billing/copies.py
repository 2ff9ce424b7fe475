"""Copies: the whole of one database in another, on whichever engines the two are (docs/postgres.md).

A copy is of one moment, whatever others write meanwhile, and counts only once every row of it was read again beside its
own. Until then nobody works on it; one that was stopped is gone on with by the same command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from smartsub_tui.billing import access, profiles
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.session import Session
from smartsub_tui.data import copies
from smartsub_tui.data.database import available
from smartsub_tui.data.models import Order, User
from smartsub_tui.errors import Refused

_TIMES: Final = 3  # that every row is handled: read, stored, compared


class Copied(Struct, frozen=True):
    """A copy that was compared, row by row. `rows` are those of all tables, of which `resumed` were there already;
    `head` is that of the audit trail. `missed`: so many events the source had more when it was done.
    """

    source: str
    target: str
    rows: int
    resumed: int
    orders: int
    users: int
    head: str
    missed: int


def copy(session: Session, url: str, told: Callable[[int, int], None] | None = None, *, anew: bool = False) -> Copied:
    """Copy the database of the session into the empty one that `url` names, or go on with a copy of it there.

    `anew`: in the place of an unfinished copy, whatever it is of. `told` hears how much is done, and of how much.

    Raises NotAllowed; Refused where something is there, where it is an unfinished copy of something else, or for a row
    that the other engine does not take; Unavailable where either cannot be used, or where they differ in the end. What
    was not finished cannot be used, and says so.
    """
    profiles.check_files(session.profile)
    source = session.database
    with available():
        access.check(session.admin, Permission.BACK_UP)
        with source.reading():
            events, head = copies.last_event(source)
            done, total = 0, copies.rows_of(source) * _TIMES

            def step(rows: int) -> None:
                nonlocal done
                done += rows
                if told is not None:
                    told(done, total)

            with copies.open_target(url) as target:
                mark = copies.mark_of(target)
                if mark is not None and not anew:
                    copies.refuse_other_version(target)
                moment = copies.moment_of(source, step)
                if mark is None or anew:
                    mark = copies.begin(target, moment, anew=anew)
                elif not moment.is_of(mark):
                    raise Refused(
                        f"{target.name} is an unfinished copy of another database, or {source.name} was changed since"
                        " it was begun: --anew throws it away and begins again"
                    )
                resumed = copies.fill(source, target, mark, step)
                copies.compare(source, target, step)
                copies.finish(target, mark)
        return Copied(
            source=source.name,
            target=target.name,
            rows=sum(moment.rows.values()),
            resumed=resumed,
            orders=moment.rows[Order._meta.table_name],
            users=moment.rows[User._meta.table_name],
            head=head,
            missed=copies.last_event(source)[0] - events,
        )
