"""The way of every write: access check, one IMMEDIATE transaction, expected state, change, audit event, result.

`perform` is the one door. It times out what is due, checks the role inside the transaction, answers a repeated request
with its stored result, and stores nothing for a refusal or a dry run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from msgspec import Struct
from peewee import fn

from smartsub_tui.billing import access, audit_chain, profiles
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.session import Session
from smartsub_tui.config import Settings
from smartsub_tui.data.database import available
from smartsub_tui.data.fields import to_microseconds
from smartsub_tui.data.models import AuditEvent, Claim, Order, Payment, Request, proxy
from smartsub_tui.data.records import AdminRecord, from_json, to_json
from smartsub_tui.data.text import forbidden_character
from smartsub_tui.data.vocabulary import LIVE_PAYMENT_STATES, OrderStatus, Trigger
from smartsub_tui.errors import Refused, Unavailable, WrongUsage

T = TypeVar("T")
LONGEST_TEXT: Final = 500
_CHUNK: Final = 500


class Change(Struct, frozen=True):
    """One write in progress: its instant, who makes it, and the trail that it leaves."""

    now: datetime
    admin: AdminRecord
    source: str
    settings: Settings
    request_id: str | None
    dry_run: bool = False

    def record(
        self,
        action: str,
        *,
        order: int | None = None,
        subject: str | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Append one audit event; `before` and `after` are what changed, as records or plain values."""
        said = (_json(before), _json(after), reason, self.request_id)
        values = (to_microseconds(self.now), self.admin.name, self.source, str(action), order, subject, *said)
        digest = audit_chain.linked(audit_chain.head(), values)
        event = AuditEvent.insert(
            at=self.now,
            admin=self.admin.name,
            source=self.source,
            action=action,
            order=order,
            subject=subject,
            before=said[0],
            after=said[1],
            reason=reason,
            request_id=self.request_id,
            hash=digest,
        ).execute()
        proxy.obj.is_known_by(event, digest)


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(to_json(dict(value)), ensure_ascii=False, separators=(",", ":"))


class _Undo(Exception):
    """Carries a dry run's result out of the transaction that it rolls back."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


def perform(
    session: Session,
    permission: Permission | Trigger,
    arguments: Mapping[str, Any],
    result_type: type[T],
    work: Callable[[Change], T],
    *,
    request_id: str | None = None,
    dry_run: bool = False,
) -> T:
    """Do `work` as one write and return its result.

    `arguments` are what makes this request this request: the same `request_id` with the same arguments returns the
    stored result without doing the work again, with others it is refused. `work` may be run more than once, each time
    on a state in which nothing of it is stored: what it leaves behind must be in the database alone. Raises NotAllowed,
    Refused, Unavailable; on each of them, and on a dry run, nothing is stored.
    """
    profiles.check(session.profile, permission)
    if request_id is not None:
        check_text("request id", request_id)
    digest = hashlib.sha256(
        json.dumps(to_json(dict(arguments)), sort_keys=True, ensure_ascii=False).encode()
    ).hexdigest()

    def once() -> T:
        with session.database.writing():
            admin = access.check(session.admin, permission)
            change = Change(session.clock.now(), admin, session.source, session.settings, request_id, dry_run)
            if request_id is not None and (earlier := Request.get_or_none(Request.id == request_id)):
                if (earlier.admin, earlier.command, earlier.arguments) != (admin.name, permission.value, digest):
                    raise Refused(f"request id {request_id} was used for something else: take a new one")
                session.database.rely_on_what_was_read()  # for it is answered as if it were done now
                return from_json(result_type, json.loads(earlier.result))
            if (admin.offices is None) is not session.database.sees_all:
                # No rule: asked again, it is looked at with the offices that are theirs by then.
                raise Unavailable(
                    f"the offices of {admin.name} were changed in this moment, and nothing was stored: try it again"
                )
            if dry_run and permission is not Permission.SWEEP:
                _time_out(change)
            result = work(change)
            if dry_run:
                raise _Undo(result)
            if request_id is not None:
                Request.insert(
                    id=request_id,
                    admin=admin.name,
                    command=permission.value,
                    arguments=digest,
                    result=json.dumps(to_json(result, whole=True), ensure_ascii=False),
                    created_at=change.now,
                ).execute()
            return result

    with available():
        if not dry_run and permission is not Permission.SWEEP:
            time_out_due(session, wait=True)
        try:
            # With a request id it asks first whether it was done: it may be done again where that is not known.
            return session.database.whole(once, repeatable=request_id is not None)
        except _Undo as undone:
            return undone.result  # type: ignore[no-any-return]


def is_stored(request_id: str | None) -> bool:
    """Whether something was done under that request id: the same again is answered as it was then.

    Asked behind whatever is read to refuse it early: where the same request moved the order just now, it is there.
    """
    return request_id is not None and Request.get_or_none(Request.id == request_id) is not None


def part_of(request_id: str | None, part: str) -> str | None:
    """The request id of what a request does in another transaction; it is kept, however long that of the whole is."""
    if request_id is None:
        return None
    named = f"{request_id}/{part}"
    return named if len(named) <= LONGEST_TEXT else f"{hashlib.sha256(request_id.encode()).hexdigest()}/{part}"


def _is_due(now: datetime) -> Any:
    live = Payment.select(Payment.id).where(
        (Payment.order == Order.id) & Payment.state.in_([state.value for state in LIVE_PAYMENT_STATES])
    )
    return (Order.status == OrderStatus.PROCESSING) & (Order.pay_by <= to_microseconds(now)) & ~fn.EXISTS(live)


def sweep(session: Session, *, request_id: str | None = None, dry_run: bool = False) -> int:
    """Time out what is due, as a write of its own; how many orders there were."""
    return perform(session, Permission.SWEEP, {}, int, _time_out, request_id=request_id, dry_run=dry_run)


def time_out_due(session: Session, *, wait: bool = False) -> int:
    """Time out every order whose time to pay is over and that has no live payment; how many there were.

    Nothing is done where nothing is changed, or for a role that may not (a reader sees such an order as "Processing,
    due"); nor, unless it is asked
    to `wait`, while another process writes: whoever only looks is not kept from it.
    """
    now = session.clock.now()
    if session.database.reads_only or not Order.select(Order.id).where(_is_due(now)).exists():
        return 0
    if not access.may(access.check(session.admin, Permission.READ).role, Trigger.TIME_OUT):
        return 0  # for which nobody is to be waited for

    def once() -> int:
        with session.database.writing() if wait else session.database.writing_at_once():
            admin = access.check(session.admin, Permission.READ)
            if not access.may(admin.role, Trigger.TIME_OUT):
                return 0  # from this moment on
            return _time_out(Change(session.clock.now(), admin, session.source, session.settings, None))

    try:
        with available():
            return session.database.whole(once, repeatable=True)  # what was timed out is due no more
    except Unavailable:
        if wait:
            raise
        return 0


def _time_out(change: Change) -> int:
    """One conditional UPDATE over the index on pay_by; then the claims go, and every order has its event.

    Time is over for the orders of all offices, whoever notices.
    """
    over = (
        Order.update(status=OrderStatus.TIME_OUT, status_since=change.now, version=Order.version + 1)
        .where(_is_due(change.now))
        .returning(Order.id)
    )
    with Order._meta.database.seeing_all():
        timed_out = [row.id for row in over.execute()]
    for start in range(0, len(timed_out), _CHUNK):
        chunk = timed_out[start : start + _CHUNK]
        Claim.delete().where(Claim.order.in_(chunk)).execute()
        for order in chunk:
            change.record(
                Trigger.TIME_OUT,
                order=order,
                before={"status": OrderStatus.PROCESSING},
                after={"status": OrderStatus.TIME_OUT},
            )
    return len(timed_out)


def check_text(name: str, text: str) -> str:
    """Typed text, stripped; raises WrongUsage where it is empty, too long, or holds a character that misleads."""
    stripped = text.strip()
    if not stripped:
        raise WrongUsage(f"{name} is empty: write one")
    if len(stripped) > LONGEST_TEXT:
        raise WrongUsage(f"{name} has {len(stripped)} characters, at most {LONGEST_TEXT} are kept")
    if (found := forbidden_character(stripped)) is not None:
        raise WrongUsage(f"{name} holds {found}, a character that controls or hides text: leave it out")
    return stripped
