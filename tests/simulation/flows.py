"""Thirteen flows, each killed at its first statement, its second, its third, until it runs through.

What the process leaves, file, log and all, is copied and opened by another, as after `kill -9`: nothing may be half
done, the same request again must do it once, and all must settle.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from msgspec import Struct

from smartsub_tui.billing import credits, imports, links, orders, payments, refunds
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.providers import Talk, hold
from smartsub_tui.billing.sweep import sweep
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.models import Payment, Request
from smartsub_tui.data.vocabulary import PaymentState, Trigger
from smartsub_tui.errors import SmartsubError
from tests.billing.paying import check_settled, settle_all
from tests.simulation import invariants
from tests.simulation.ground import Ground, fast_folder
from tests.simulation.scheduler import Actor, Fault

T = TypeVar("T")
_REQUEST: Final = "the-request"


class Flow(Struct, frozen=True):
    """What is there before, and what is then done; `act` is what happens to the number that `prepare` gave."""

    prepare: Callable[[Ground], str]
    act: Callable[[Ground, str], Any]


def _new(ground: Ground, *people: str) -> str:
    return orders.renew(ground.session, "Oak House", people or ("o1", "o3"), Months(1)).order.number


def _open(ground: Ground) -> str:
    number = _new(ground)
    _talk(ground, links.open_link(ground.session, number))
    return number


def _customer(ground: Ground, card: str) -> str:
    number = _open(ground)
    ground.account.pay(str(Payment.get().link), card, None)
    return number


def _under_way(ground: Ground) -> str:
    number = _customer(ground, "delayed")
    _talk(ground, links.ask_order(ground.session, number))
    return number


def _paid_there(ground: Ground) -> str:
    number = _customer(ground, "ok")
    _talk(ground, links.ask_order(ground.session, number))
    return number


def _money_waits(ground: Ground) -> str:
    number = _new(ground)
    payments.pay(ground.session, number, Manual("R", 100))
    return number


def _due(ground: Ground) -> str:
    number = _open(ground)
    _new(ground, "o2")
    ground.clock.advance(timedelta(hours=25))
    return number


def _cancelled(ground: Ground) -> str:
    number = _new(ground)
    payments.cancel(ground.session, number, "why")
    return number


def _users_file(ground: Ground) -> Path:
    file = ground.folder / "users.csv"
    file.write_text(
        "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,activated_on,"
        "expires_on\nOak House,office,Europe/Berlin,EUR,Sales,o1,Another Name,,user,,app,,\n"
        "Oak House,office,Europe/Berlin,EUR,Support,n1,New One,,user,,app,,\n"
    )
    return file


def _talk(ground: Ground, talk: Talk[T]) -> T:
    """A talk; whoever acts may die before each call, and between its effect and the answer's record."""
    actor = ground.engine.actor
    if actor is None:
        return hold(ground.engine, ground.session.providers, talk)
    return actor.hold(ground.session, talk)


FLOWS: Final[dict[str, Flow]] = {
    "order": Flow(
        lambda _: "",
        lambda on, _: orders.renew(on.session, "Oak House", ["o1", "o2"], Months(2), request_id=_REQUEST),
    ),
    "activate and pay": Flow(
        lambda _: "",
        lambda on, _: orders.activate(on.session, "Oak House", ["New"], paying=Manual("R"), request_id=_REQUEST),
    ),
    "pay": Flow(_new, lambda on, number: payments.pay(on.session, number, Manual("R"), request_id=_REQUEST)),
    "open a link": Flow(_new, lambda on, number: _talk(on, links.open_link(on.session, number, request_id=_REQUEST))),
    "hear that it is paid": Flow(
        lambda on: _customer(on, "ok"), lambda on, number: _talk(on, links.ask_order(on.session, number))
    ),
    "cancel what has a link": Flow(
        _open,
        lambda on, number: _talk(
            on,
            links.without_link(
                on.session,
                Trigger.CANCEL,
                number,
                lambda: payments.cancel(on.session, number, "why", request_id=_REQUEST),
                request_id=_REQUEST,
            ),
        ),
    ),
    "confirm what is under way": Flow(
        _under_way, lambda on, number: payments.confirm(on.session, number, Manual("R"), request_id=_REQUEST)
    ),
    "take back and pay back": Flow(
        _paid_there,
        lambda on, number: _talk(on, credits.credit(on.session, number, "why", users=["o1"], request_id=_REQUEST)),
    ),
    "pay back what waits": Flow(
        _money_waits, lambda on, number: _talk(on, refunds.refund(on.session, number, "why", request_id=_REQUEST))
    ),
    "import": Flow(
        lambda _: "", lambda on, _: imports.import_files(on.session, [_users_file(on)], request_id=_REQUEST)
    ),
    "sweep": Flow(_due, lambda on, _: _talk(on, sweep(on.session))),
    "order again": Flow(_cancelled, lambda on, number: orders.again(on.session, number, request_id=_REQUEST)),
    "delete": Flow(_new, lambda on, number: payments.delete(on.session, number, "why", request_id=_REQUEST)),
}


def kill(name: str, folder: Path, place: int, fault: Fault) -> str:
    """Run a flow and kill it at its `place`-th point, from 1, or behind it; what that point was.

    Empty where it ran through before. Behind a point is something only where it is a commit: else nothing is done.
    Raises Violation.
    """
    flow, ground = FLOWS[name], Ground(7, folder)
    try:
        number = flow.prepare(ground)
        actor = Actor("a0", lambda: _act(ground, flow, number))
        ground.engine.actors = [actor]
        for _ in range(place):
            actor.turn(None)
            if actor.ended:
                return ""
        point = actor.point
        if fault is Fault.KILL or point == "COMMIT":
            actor.turn(fault)
            _leave_behind(ground)
            go_on(ground, flow, number)
        return point
    finally:
        ground.close()


def _act(ground: Ground, flow: Flow, number: str) -> None:
    ground.engine.connect()
    flow.act(ground, number)


def _leave_behind(ground: Ground) -> None:
    """The files as they are now, with nobody having closed anything, in another folder: what a kill leaves."""
    left = ground.folder / "left"
    shutil.rmtree(left, ignore_errors=True)
    left.mkdir()
    for file in ground.folder.glob(f"{ground.path.name}*"):
        shutil.copy(file, left / file.name)
    ground.close()
    ground.open(left / ground.path.name)


def go_on(ground: Ground, flow: Flow, number: str) -> None:
    with ground.aside() as connection:
        invariants.hold(connection.pragma("integrity_check") == "ok", "the file is damaged")
    invariants.check_all(ground.session)
    stored = Request.get_or_none(Request.id == _REQUEST) is not None
    try:
        flow.act(ground, number)
    except SmartsubError as error:
        # What was on its way at the provider may say first what is possible now; what was done, is done.
        invariants.hold(not stored, f"it was done, and asked again it is refused: {error}")
    for charge in list(ground.account.books.charges.values()):
        if charge.status == "pending":
            ground.account.books.settle(charge.payment_intent, succeeded=True)
    settle_all(ground.session, ground.clock)
    check_settled(ground.session, cast(Any, ground.account))
    invariants.check_all(ground.session)
    live = Payment.select().where(Payment.state.in_([state.value for state in PaymentState if state.is_live]))
    invariants.hold(not live.exists(), "a payment is live for ever")


def kill_everywhere(name: str, folder: Path, every: int = 1) -> int:
    """Kill a flow at every point of it, or at every `every`-th, and behind each commit; how often that was."""
    killed, place = 0, 1
    while point := kill(name, folder, place, Fault.KILL):
        killed += 1
        if point == "COMMIT":
            kill(name, folder, place, Fault.KILL_AFTER)
            killed += 1
        place += every
    return killed


def kills_of(name: str) -> int:
    """Kill a flow everywhere, in a folder of its own; how often that was."""
    with tempfile.TemporaryDirectory(prefix="smartsub-kills-", dir=fast_folder()) as folder:
        return kill_everywhere(name, Path(folder))
