"""The audit trail as a chain: each event carries a hash over itself and over the hash of the one before.

Whoever edits, removes, inserts or swaps events breaks it at that place, unless all that follows is made anew; whoever
makes it anew, or cuts its end off, has another last hash, its head. So the head is what is kept elsewhere
(docs/audit.md).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from smartsub_tui.billing import access
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.session import Session
from smartsub_tui.data.database import BLOCK, Database, available
from smartsub_tui.data.fields import from_microseconds
from smartsub_tui.data.models import AuditEvent
from smartsub_tui.errors import Refused, WrongUsage

NOTHING: Final = ""  # before the first event
_HEAD: Final = re.compile(r"[0-9a-f]{64}")


class Chain(Struct, frozen=True):
    """A trail that is whole: so many events, and the hash of the last. `newest` is its instant."""

    events: int
    head: str
    newest: datetime | None


def linked(before: str, values: Sequence[Any]) -> str:
    """The hash of an event behind the hash `before`.

    `values` are its columns as stored: at (microseconds), admin, source, action, order (row id), subject, before,
    after, reason, request id.
    """
    return hashlib.sha256(json.dumps([before, *values], ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def head() -> str:
    """The hash of the last event; NOTHING where there is none."""
    last = AuditEvent.select(AuditEvent.hash).order_by(AuditEvent.id.desc()).limit(1).tuples().first()
    return NOTHING if last is None else str(last[0])


def verify(session: Session, known: str | None = None) -> Chain:
    """Read the whole trail; with `known`, a head that was noted before, see that it still stands in it.

    Raises WrongUsage where `known` is no hash, NotAllowed, Refused where the trail is not as it was written: with the
    first event that shows it.
    """
    if known is not None and not _HEAD.fullmatch(known):
        raise WrongUsage(f"{known!r} is no head: it has 64 characters, 0 to 9 and a to f")
    with available():
        found, seen = session.database.at_one_moment(lambda: _verified(session, known))
    if not seen:
        raise Refused(f"the audit trail was changed: none of its {found.events:,} events has the head that was noted")
    return found


def _verified(session: Session, known: str | None) -> tuple[Chain, bool]:
    """The trail as it is, and whether `known` stands in it."""
    before, count, newest, seen = NOTHING, 0, None, known is None
    access.check(session.admin, Permission.READ)
    try:
        for id, hash, at, *rest in _stored(session.database):
            before = linked(before, (at, *rest))
            # Ids have no gaps: none is ever removed, and one that was rolled back is given again.
            if (id, hash) != (count + 1, before):
                raise Refused(f"{_changed(id)}, by {rest[0]} at {from_microseconds(at):%Y-%m-%d %H:%M:%S} UTC")
            count, newest, seen = id, at, seen or hash == known
        return Chain(count, before, None if newest is None else from_microseconds(newest)), seen
    except (UnicodeDecodeError, TypeError, OverflowError) as error:  # no text, bytes, no instant
        raise Refused(_changed(count + 1)) from error


def _stored(database: Database) -> Iterator[Any]:
    """All events in their order, as they are stored, which is what the hash is over: an edit may leave an instant that
    is none, and broken text. Block by block: a server sends all that is asked for at once.
    """
    event, last, found = AuditEvent, None, BLOCK
    while found == BLOCK:
        stored = event.select(
            *(event.id, event.hash, event.at, event.admin, event.source, event.action, event.order),
            *(event.subject, event.before, event.after, event.reason, event.request_id),
        ).order_by(event.id)
        found = 0
        # One by one: what is before an event that cannot be read was read.
        for row in database.execute((stored if last is None else stored.where(event.id > last)).limit(BLOCK)):
            yield row
            last, found = row[0], found + 1


def _changed(id: int) -> str:
    return f"the audit trail was changed: event {id}, or one before it, is not as it was written"
