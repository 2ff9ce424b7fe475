"""A request that was stored stays the same request: by what it is known again, command by command.

A command that is given again after an update is answered as it was then. So what a request is known by never changes by
itself: neither its command nor what its arguments are called, for both are in the databases that there are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from smartsub_tui.billing import admin_keys, admins, credits, imports, links, orders, payments, refunds, views
from smartsub_tui.billing.invoices import BuyerReferences
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.sweep import sweep
from smartsub_tui.billing.terms import Months, Until
from smartsub_tui.data.filters import parse_users
from smartsub_tui.data.models import AuditEvent, Request
from smartsub_tui.data.money import Money
from smartsub_tui.data.vocabulary import Role
from tests.billing.paying import held, paying_by
from tests.billing.test_admin_keys import ANN as KEY
from tests.data.test_csv_files import SAMPLES
from tests.providers import running
from tests.support import FixedClock, add_community, add_office, add_people, add_prices

SOON: Final = date(2026, 12, 22)
REFERENCES: Final = BuyerReferences("PO-7", "B-9")
_SAID: Final = {"po_number": "PO-7", "buyer_reference": "B-9"}

# The command, what it is known by, and the command itself, to be given under a request id.
Step = tuple[str, dict[str, Any], Callable[..., object]]


def day(session: Session, clock: FixedClock, file: Path) -> Iterator[Step]:
    """Every command that takes a request id, each where it can be done."""
    oak = "Oak House"

    def renewed(key: str) -> str:
        return orders.renew(session, oak, [key], Months(1)).order.number

    def talked(command: Callable[..., Any], *given: Any, **options: Any) -> Callable[..., object]:
        return lambda request_id: held(session, command(session, *given, **options, request_id=request_id))

    yield (
        "admins",
        {"add": "ann", "role": "operator", "limits": [{"amount": 100, "currency": "EUR"}], "offices": [oak]},
        partial(admins.add, session, "ann", Role.OPERATOR, [Money(100, "EUR")], [oak]),
    )
    yield (
        "admins",
        {"change": "ann", "role": "viewer", "limits": None, "offices": []},
        partial(admins.change, session, "ann", admins.Changed(role=Role.VIEWER, offices=())),
    )
    yield "admins", {"disable": "ann"}, partial(admins.disable, session, "ann")
    yield "admins", {"enable": "ann"}, partial(admins.enable, session, "ann")
    yield "admins", {"add_key": "ann", "key": KEY}, partial(admin_keys.add_key, session, "ann", KEY)
    print_ = admin_keys.keys(session, "ann")[0].fingerprint
    yield (
        "admins",
        {"remove_key": "ann", "fingerprint": print_},
        partial(admin_keys.remove_key, session, "ann", print_),
    )
    for permission, shared in (("keep", False), ("share", True)):
        yield (
            permission,
            {"name": "late", "filter": "status:failed", "sort": "-created", "shared": shared},
            partial(views.save_view, session, "late", "status:failed", shared=shared),
        )
        yield (
            permission,
            {"remove": "late", "shared": shared},
            partial(views.remove_view, session, "late", shared=shared),
        )
    yield (
        "import",
        {"files": [{"file": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}], "partial": True},
        partial(imports.import_files, session, [file], partial=True),
    )

    yield (
        "create",
        {"office": oak, "departments": ["Sales"], "additional": False, "paying": None, "references": _SAID},
        partial(orders.activate, session, oak, ["Sales", "Sales"], references=REFERENCES),
    )
    yield (
        "create",
        {
            "office": oak,
            "chosen": ["u1", "u2"],
            "term": {"months": 2},
            "additional": False,
            "paying": {},
            "references": _SAID,
        },
        partial(
            orders.renew,
            session,
            oak,
            ["u2", "u1"],
            Months(2),
            paying=BankTransfer(),
            references=REFERENCES,
        ),
    )
    until = SOON + timedelta(days=40)
    yield (
        "create",
        {
            "office": "Elm Court",
            "chosen": "user:e1",
            "term": {"day": until.isoformat()},
            "additional": False,
            "paying": {"reference": "R-0", "amount": None},
        },
        partial(
            orders.renew,
            session,
            "Elm Court",
            parse_users("user:e1"),
            Until(until),
            paying=Manual("R-0"),
        ),
    )

    number = renewed("u3")
    yield (
        "cancel",
        {"number": number, "reason": "a mistake"},
        partial(payments.cancel, session, number, "a mistake"),
    )
    yield (
        "again",
        {"number": number, "references": _SAID},
        partial(orders.again, session, number, references=REFERENCES),
    )
    yield (
        "delete",
        {"number": number, "reason": "twice"},
        partial(payments.delete, session, number, "twice"),
    )
    yield "restore", {"number": number, "reason": None}, partial(payments.restore, session, number)
    yield (
        "confirm",
        {"number": number, "money": {"reference": "R-1", "amount": None}, "second": False, "references": _SAID},
        partial(payments.confirm, session, number, Manual("R-1"), references=REFERENCES),
    )
    yield (
        "refund",
        {"number": number, "reason": "not wanted", "reference": "B-1"},
        talked(refunds.refund, number, "not wanted", reference="B-1"),
    )
    late = renewed("u4")
    clock.advance(days=3)
    yield "sweep", {}, talked(sweep)
    payments.confirm(session, late, Manual("R-2"))
    other = renewed("u5")
    payments.cancel(session, other, "a mistake")
    payments.confirm(session, other, Manual("R-3"))
    yield "apply", {"number": other}, partial(payments.apply, session, other)
    yield (
        "credit",
        {"number": late, "reason": "moved out", "users": ["u4"], "reference": "B-2"},
        talked(credits.credit, late, "moved out", users=["u4"], reference="B-2"),
    )
    linked = renewed("u6")
    yield (
        "link",
        {"number": linked, "provider": "stripe", "references": _SAID},
        talked(links.open_link, linked, references=REFERENCES),
    )
    last = renewed("u3")
    yield (
        "pay",
        {"number": last, "paying": {"reference": "R-4", "amount": 700}, "references": _SAID},
        partial(payments.pay, session, last, Manual("R-4", 700), references=REFERENCES),
    )


@pytest.fixture
def paying(session: Session, clock: FixedClock) -> Iterator[Session]:
    with running(clock=clock) as server:
        yield paying_by(session, server)


def test_each_command_is_known_again_by_the_same_and_done_once(paying: Session, clock: FixedClock) -> None:
    add_prices()
    add_people(oak := add_office(), *(f"u{place}" for place in range(1, 7)), expires_on=SOON)
    add_people(oak, "new")
    add_people(add_community(), "e1", expires_on=SOON)
    file = SAMPLES / "prices.csv"
    for place, (command, arguments, give) in enumerate(day(paying, clock, file)):
        id = f"request-{place}"
        answer, events = give(request_id=id), AuditEvent.select().count()
        stored = Request.get_by_id(id)
        text = json.dumps(arguments, sort_keys=True, ensure_ascii=False)
        assert (stored.command, stored.arguments) == (command, hashlib.sha256(text.encode()).hexdigest()), arguments
        assert give(request_id=id) == answer
        assert AuditEvent.select().count() == events
