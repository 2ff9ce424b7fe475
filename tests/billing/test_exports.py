"""Who may export what; files by slices; and what goes out and comes in again is the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartsub_tui.billing import exports
from smartsub_tui.billing.changes import time_out_due
from smartsub_tui.billing.demo import make_demo
from smartsub_tui.billing.exports import FileExport, find_rows, format_of, pages
from smartsub_tui.billing.imports import ImportReport, import_read
from smartsub_tui.billing.session import Session
from smartsub_tui.data import models
from smartsub_tui.data.csv_files import read_bytes
from smartsub_tui.data.database import rows
from smartsub_tui.data.exports import ExportFormat, ExportKind, Wanted
from smartsub_tui.data.files import FileExists
from smartsub_tui.data.filters import Filter, parse_orders, parse_users
from smartsub_tui.data.models import Claim, Office, Order, OrderLine, Price, Subscription, User
from smartsub_tui.data.queries import Sort
from smartsub_tui.data.vocabulary import OfficeKind, OrderStatus, OrderType, Role, UserKind
from smartsub_tui.errors import NotAllowed
from tests.data.test_csv_cells import TRICKY
from tests.support import (
    NOW,
    SETTINGS,
    TODAY,
    add_office,
    add_order,
    add_people,
    add_person,
    add_prices,
    as_role,
    dump,
    memory_session,
)

OLDEST_FIRST: Final = Sort("created", descending=False)


def text(
    session: Session,
    kind: ExportKind,
    chosen: Filter | None = None,
    sort: Sort = OLDEST_FIRST,
    form: ExportFormat = ExportFormat.CSV,
) -> str:
    return "".join(pages(session, find_rows(session, Wanted(kind, chosen, sort), form)))


def everything(session: Session) -> list[str]:
    """Users, removed users, orders: all that the import takes of a database but its prices."""
    models.proxy.initialize(session.database)
    return [
        text(session, ExportKind.USERS),
        text(session, ExportKind.USERS, parse_users("state:removed")),
        text(session, ExportKind.ORDERS),
    ]


def take(session: Session, files: list[str]) -> ImportReport:
    models.proxy.initialize(session.database)
    return import_read(session, [read_bytes(f"{place}.csv", each.encode()) for place, each in enumerate(files)])


def empty_with_prices_of(session: Session) -> Session:
    """Another database, which has the same prices and nothing else."""
    models.proxy.initialize(session.database)
    fields = [field for field in Price._meta.sorted_fields if field.name != "id"]
    prices = list(rows(Price.select(*fields)))
    other = memory_session()
    other.database.insert_rows(fields, prices)
    return other


def counts(report: ImportReport) -> list[tuple[int, int, int]]:
    assert report.problems == ()
    return [(each.added, each.unchanged, each.rows) for each in report.files]


# Who may


@pytest.mark.parametrize("role", Role)
def test_everyone_exports_orders_and_users_and_an_auditor_the_trail(session: Session, role: Role) -> None:
    worked = as_role(session, role)
    for kind in (ExportKind.ORDERS, ExportKind.USERS):
        assert text(worked, kind)
    if role is Role.AUDITOR:
        assert text(worked, ExportKind.AUDIT)
    else:
        with pytest.raises(NotAllowed, match="audit trail"):
            text(worked, ExportKind.AUDIT)


def test_who_may_not_makes_no_file_and_learns_of_none(session: Session, tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.write_text("kept")
    for path in (there, tmp_path / "new.csv"):
        export = FileExport(Wanted(ExportKind.AUDIT), ExportFormat.CSV, path, replace=True)
        with pytest.raises(NotAllowed):
            export.begin(session)
        export.stop()
    assert [each.name for each in tmp_path.iterdir()] == ["there.csv"]
    assert there.read_text() == "kept"


def test_orders_that_are_named_come_in_their_order_whatever_the_filter_says(session: Session) -> None:
    filled(session, 1300)
    Order.update(deleted_at=NOW).where(Order.number == "000007").execute()
    named = (*(f"{place:06}" for place in range(1299, 0, -2)), "none")
    for sort in (OLDEST_FIRST, Sort("number")):
        wanted = Wanted(ExportKind.ORDERS, parse_orders("status:failed"), sort, named)
        lines = "".join(pages(session, find_rows(session, wanted, ExportFormat.CSV))).splitlines()
        assert [line.split(",")[0] for line in lines[1:]] == list(named[:-1])


# Files, slice by slice


def filled(session: Session, count: int = 1300) -> Session:
    office = add_office()
    for place in range(count):
        add_order(office, [], OrderStatus.CANCEL, history=True, number=f"{place:06}")
    return session


WANTED: Final = Wanted(ExportKind.ORDERS, None, OLDEST_FIRST)


def test_a_file_is_the_text_written_by_slices(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(session)
    monkeypatch.setattr(exports, "SLICE_SECONDS", 0)  # a slice is a page then
    export = FileExport(WANTED, ExportFormat.CSV, tmp_path / "o.csv")
    export.begin(session)
    assert (export.done, export.count) == (0, 1300)
    seen = []
    while not export.go_on(session):
        seen.append(export.done)
        assert not export.path.exists()
    assert seen == [500, 1000, 1300]
    export.stop()
    assert export.path.read_text() == text(session, ExportKind.ORDERS)
    assert [each.name for each in tmp_path.iterdir()] == ["o.csv"]


@pytest.mark.long
def test_a_slice_takes_as_many_pages_as_its_time_allows(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(session)
    monkeypatch.setattr(exports, "SLICE_SECONDS", 1e9)
    export = FileExport(WANTED, ExportFormat.JSONL, tmp_path / "o.jsonl")
    export.begin(session)
    assert export.go_on(session)
    assert export.path.read_text() == text(session, ExportKind.ORDERS, form=ExportFormat.JSONL)


def test_stopped_at_any_moment_nothing_is_left(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(session)
    monkeypatch.setattr(exports, "SLICE_SECONDS", 0)
    for slices in range(-1, 3):
        export = FileExport(WANTED, ExportFormat.CSV, tmp_path / "o.csv")
        if slices >= 0:
            export.begin(session)
        for _ in range(slices):
            assert not export.go_on(session)
        export.stop()
        assert list(tmp_path.iterdir()) == []


def test_an_export_goes_on_after_it_has_begun(session: Session, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="begun"):
        FileExport(WANTED, ExportFormat.CSV, tmp_path / "o.csv").go_on(session)


def test_rows_that_come_between_two_slices_are_not_in_it_and_none_is_twice(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders whose place in the sort changes meanwhile stand where they stood when the export began."""
    filled(session)
    monkeypatch.setattr(exports, "SLICE_SECONDS", 0)
    export = FileExport(Wanted(ExportKind.ORDERS, None, Sort("total", False)), ExportFormat.CSV, tmp_path / "o.csv")
    export.begin(session)
    export.go_on(session)
    Order.update(total=10**9).where(Order.number < "000400").execute()
    Order.update(deleted_at=NOW).where(Order.number == "001200").execute()
    add_order(Office.get(), [], OrderStatus.CANCEL, history=True, number="999999")
    while not export.go_on(session):
        pass
    numbers = [line.split(",")[0] for line in export.path.read_text().splitlines()[1:]]
    assert numbers == [f"{place:06}" for place in range(1300)]


def test_a_file_that_exists_is_told(session: Session, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("old")
    export = FileExport(WANTED, ExportFormat.CSV, tmp_path / "o.csv")
    with pytest.raises(FileExists):
        export.begin(session)
    again = FileExport(WANTED, ExportFormat.CSV, tmp_path / "o.csv", replace=True)
    again.begin(session)
    assert again.go_on(session)
    assert (tmp_path / "o.csv").read_text() == text(session, ExportKind.ORDERS)


def test_the_ending_of_a_name_tells_the_format() -> None:
    assert format_of("orders.JSONL") is format_of("x/orders.jsonl") is ExportFormat.JSONL
    assert format_of("orders.csv") is format_of("orders") is format_of("jsonl") is ExportFormat.CSV


# There and back


def test_the_demo_comes_back_byte_for_byte(session: Session) -> None:
    make_demo(session.database, admin="demo", now=NOW, orders=1500, users=300, settings=SETTINGS)
    time_out_due(session)  # as every import does, for it is a write
    files = everything(session)
    assert {status for (status,) in rows(Order.select(Order.status).distinct())} == set(OrderStatus)
    assert User.select().where(User.removed_on.is_null(False)).exists()
    before = dump(session.database)
    assert all(unchanged == rows_ for _, unchanged, rows_ in counts(take(session, files)))
    assert dump(session.database) == before

    other = empty_with_prices_of(session)
    assert all(added == rows_ > 0 for added, _, rows_ in counts(take(other, files)))
    assert everything(other) == files


INSTANTS: Final = st.integers(0, 2_400 * 86_400 * 10**6).map(
    lambda microseconds: datetime(2020, 1, 2, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
NAMES: Final = TRICKY.map(lambda name: name.replace("\0", "")).filter(lambda name: bool(name) and not name.isspace())
KEYS: Final = NAMES.map(lambda key: key.replace(";", "")).filter(lambda key: bool(key) and not key.isspace())
CLOSED: Final = [status for status in OrderStatus if not status.is_open]


@st.composite
def people(draw: st.DrawFn) -> dict[str, Any]:
    expires_on = draw(st.none() | st.dates(date(2025, 1, 1), date(2030, 1, 1)))
    return {
        "name": draw(NAMES),
        "department": draw(NAMES),
        "email": draw(NAMES | st.just("")),
        "kind": draw(st.sampled_from(UserKind)),
        "apartment": draw(st.none() | NAMES),
        "expires_on": expires_on,
        "removed_on": draw(st.none() | st.none() | st.just(TODAY)),
    }


_UNTIL: Final = TODAY + timedelta(days=900)


def add_open_order(office: Office, held: Subscription, number: str, draw: st.DataObject) -> None:
    """An order that can still be paid, as its person's state allows it."""
    expires_on: date | None = held.expires_on
    additional, active = held.user.kind is UserKind.FAMILY, expires_on is not None
    until = None
    if expires_on and expires_on < _UNTIL and office.kind is OfficeKind.COMMUNITY and draw.draw(st.booleans()):
        until = _UNTIL
    add_order(
        office,
        [held],
        draw.draw(st.sampled_from([OrderStatus.PROCESSING, OrderStatus.SYSTEM_PROCESSING])),
        type=OrderType.ADDITIONAL_APP if additional else OrderType.SUBSCRIPTION if active else OrderType.ACTIVATION,
        months=draw.draw(st.integers(1, 60)) if active and until is None else None,
        until=until,
        first_term_months=None if active else 1,
        number=number,
        created_at=NOW - timedelta(minutes=draw.draw(st.integers(1, 600_000))),
        pay_by=NOW + timedelta(hours=1),
        amount=draw.draw(st.integers(0, 10**9)),
    )


@pytest.mark.long
@given(data=st.data())
def test_whatever_a_database_holds_comes_back(data: st.DataObject) -> None:
    session = memory_session()
    for currency in ("EUR", "JPY", "KWD"):
        add_prices(currency)
    numbers = data.draw(st.lists(NAMES, unique=True, min_size=1, max_size=8))
    members: list[tuple[Office, Subscription]] = []
    for name in data.draw(st.lists(NAMES, unique=True, min_size=1, max_size=3)):
        kind, currency = data.draw(st.sampled_from(OfficeKind)), data.draw(st.sampled_from(["EUR", "JPY", "KWD"]))
        office = add_office(name, kind, timezone="America/St_Johns", currency=currency)
        for key in data.draw(st.lists(KEYS, unique=True, min_size=1, max_size=4)):
            if not User.select().where(User.key == key).exists():
                fields = data.draw(people())
                email = fields.pop("email")
                members.append((office, add_person(office, key, **fields)))
                User.update(email=email).where(User.key == key).execute()
    offices = list({office.id: office for office, _ in members}.values())
    for number in numbers:
        office = data.draw(st.sampled_from(offices))
        theirs = [each for of, each in members if of == office]
        held = data.draw(st.sampled_from(theirs))
        free = held.user.removed_on is None and not Claim.select().where(Claim.subscription == held).exists()
        if free and data.draw(st.booleans()):
            add_open_order(office, held, number, data)
            continue
        status = data.draw(st.sampled_from(CLOSED))
        add_order(
            office,
            data.draw(st.lists(st.sampled_from(theirs), unique=True)),
            status,
            type=data.draw(st.sampled_from(OrderType)),
            months=None,
            number=number,
            created_at=data.draw(INSTANTS),
            amount=data.draw(st.integers(0, 10**9)),
            history=data.draw(st.booleans()),
        )
        if data.draw(st.booleans()):
            Order.update(months=data.draw(st.integers(1, 60))).where(Order.number == number).execute()
        else:
            Order.update(until=data.draw(st.dates())).where(Order.number == number).execute()

    files = everything(session)
    before = dump(session.database)
    assert all(unchanged == rows_ for _, unchanged, rows_ in counts(take(session, files)))
    assert dump(session.database) == before
    other = empty_with_prices_of(session)
    assert all(added == rows_ for added, _, rows_ in counts(take(other, files)))
    assert everything(other) == files
    assert all(unchanged == rows_ for _, unchanged, rows_ in counts(take(other, files)))


# What does not come back (docs/export.md)


def test_an_anchor_is_the_day_of_the_expiry_after_an_import(session: Session) -> None:
    add_prices()
    add_person(add_office(), "u1", expires_on=date(2027, 2, 28), anchor_day=31)
    files = everything(session)
    other = empty_with_prices_of(session)
    take(other, files)
    assert [anchor for (anchor,) in rows(Subscription.select(Subscription.anchor_day))] == [28]
    assert everything(other) == files


def test_hidden_orders_come_only_where_they_are_asked_for_and_come_back_shown(session: Session) -> None:
    add_order(add_office(), add_people(Office.get(), "u1"), OrderStatus.CANCEL, history=True, number="1")
    Order.update(deleted_at=NOW).execute()
    assert text(session, ExportKind.ORDERS).count("\n") == 1
    hidden = text(session, ExportKind.ORDERS, parse_orders("is:deleted"))
    files = [*everything(session)[:2], hidden]
    other = empty_with_prices_of(session)
    take(other, files)
    assert text(other, ExportKind.ORDERS) == hidden


def test_what_was_ordered_here_comes_back_as_history(session: Session) -> None:
    add_prices()
    add_order(add_office(), add_people(Office.get(), "u1", expires_on=TODAY), OrderStatus.FAILED, number="1")
    files = everything(session)
    take(empty_with_prices_of(session), files)
    assert [history for (history,) in rows(Order.select(Order.history))] == [True]
    assert [amount for (amount,) in rows(OrderLine.select(OrderLine.amount))] == [None]
