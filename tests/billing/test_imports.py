"""The import: what is taken, what is refused and where, and that nothing of a refusal stays."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.billing.imports import ImportRefused, ImportReport, import_files, import_read
from smartsub_tui.billing.session import Session
from smartsub_tui.config import OrderSettings
from smartsub_tui.data.csv_files import FileKind, Problem, read_bytes
from smartsub_tui.data.database import rows
from smartsub_tui.data.models import AuditEvent, Claim, Office, Order, OrderLine, Price, Subscription, User
from smartsub_tui.data.records import from_json, to_json
from smartsub_tui.data.vocabulary import Lapsed, LineAction, OfficeKind, OrderStatus, Role
from smartsub_tui.errors import NotAllowed, NotFound, Refused, Unavailable, WrongUsage
from tests.data.test_csv_files import BROKEN_FILES, SAMPLES
from tests.support import NOW, FixedClock, as_role, claimed, dump, expiry, memory_session

Row = dict[str, str]
SAMPLE_FILES = [SAMPLES / "orders.csv", SAMPLES / "prices.csv", SAMPLES / "users.csv"]


def price(service: str = "app", action: str = "month", **fields: str) -> Row:
    row = {"service": service, "action": action, "amount": "5.00", "currency": "EUR", "office_kind": ""}
    return row | {"tax_rate": "0.19", "valid_from": "2020-01-01"} | fields


def user(key: str, expires: str = "2027-01-31", **fields: str) -> Row:
    """A user of the community Elm Court; inactive where `expires` is empty."""
    row = {"office": "Elm Court", "office_kind": "community", "timezone": "Europe/Berlin", "currency": "EUR"}
    row |= {"department": "A", "user_id": key, "name": f"Name of {key}", "email": "", "kind": "user"}
    row |= {"apartment": "1", "service": "app", "activated_on": "2026-01-31" if expires else "", "expires_on": expires}
    return row | fields


def manager(key: str, expires: str = "2027-01-31", **fields: str) -> Row:
    return user(key, expires, **({"kind": "property_manager", "service": "pm_app"} | fields))


def family(key: str, expires: str = "2027-01-31", **fields: str) -> Row:
    return user(key, expires, **({"kind": "family", "service": "additional_app"} | fields))


def order(number: str, people: str = "U1", status: str = "processing", **fields: str) -> Row:
    """A renewal by 6 months of Elm Court, created at 22:30 UTC of the day before NOW."""
    row = {"order_number": number, "office": "Elm Court", "type": "subscription", "status": status, "apartments": "1"}
    row |= {"total": "100.00", "currency": "EUR", "created_at": "2026-11-21T22:30:00Z", "paid_at": "", "months": "6"}
    return row | {"until": "", "user_ids": people} | fields


PRICES = [price(service, action) for service in ("app", "pm_app", "additional_app") for action in LineAction]
USERS = [user("U1"), user("U2"), user("U3"), user("N1", ""), manager("M1"), family("F1"), family("F2", "")]
OAK = {"office": "Oak House", "office_kind": "office"}


def csv_of(rows: list[Row]) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def take(session: Session, *tables: list[Row] | bytes, **options: Any) -> ImportReport:
    """Import tables of rows as the files 1.csv, 2.csv ..."""
    files = [
        read_bytes(f"{place}.csv", table if isinstance(table, bytes) else csv_of(table))
        for place, table in enumerate(tables, start=1)
    ]
    return import_read(session, files, **options)


def refused(session: Session, *tables: list[Row] | bytes) -> tuple[Problem, ...]:
    """The problems of an import that must be refused, and leave nothing."""
    before = dump(session.database)
    with pytest.raises(ImportRefused) as caught:
        take(session, *tables)
    assert dump(session.database) == before
    assert caught.value.exit_code == 1
    return caught.value.problems


def column(query: Any) -> list[Any]:
    """The values of a query of one column."""
    return [value for (value,) in rows(query)]


def one(query: Any) -> Any:
    """The only row of a query."""
    (found,) = query
    return found


def lines_of(number: str) -> list[Any]:
    """The lines of an order, in the order of the file."""
    return list(OrderLine.select().join(Order).where(Order.number == number).order_by(OrderLine.id))


@pytest.fixture
def filled(session: Session) -> Session:
    """Prices and users are there, no order."""
    take(session, PRICES, USERS)
    return session


# The samples


def test_the_samples_are_taken_whole(session: Session) -> None:
    report = import_files(session, SAMPLE_FILES)
    assert [(each.kind, each.rows, each.added) for each in report.files] == [
        (FileKind.ORDERS, 60, 60),
        (FileKind.PRICES, 12, 12),
        (FileKind.USERS, 40, 40),
    ]
    assert report.problems == ()
    assert set(column(Order.select(Order.status))) == set(OrderStatus)


def test_the_same_files_again_change_nothing(session: Session, clock: FixedClock) -> None:
    import_files(session, SAMPLE_FILES)
    before = dump(session.database)
    clock.advance(minutes=5)
    report = import_files(session, SAMPLE_FILES)
    assert dump(session.database) == before
    assert [(each.added, each.changed, each.unchanged, each.skipped) for each in report.files] == [
        (0, 0, 60, 0),
        (0, 0, 12, 0),
        (0, 0, 40, 0),
    ]
    assert "60 unchanged" in report.text()


def test_the_files_of_one_import_come_in_any_order() -> None:
    found = []
    for paths in itertools.permutations(SAMPLE_FILES):
        session = memory_session()
        import_files(session, paths)
        found.append({table: held for table, held in dump(session.database).items() if table != "audit_event"})
    assert all(each == found[0] for each in found)


def test_the_files_may_come_one_by_one(session: Session) -> None:
    orders, prices, users = SAMPLE_FILES
    for path in (prices, users, orders):
        assert import_files(session, [path]).problems == ()


def test_a_dry_run_reports_the_same_and_stores_nothing(session: Session) -> None:
    before = dump(session.database)
    report = import_files(session, SAMPLE_FILES, dry_run=True)
    assert dump(session.database) == before
    assert import_files(session, SAMPLE_FILES) == report


def test_a_report_survives_json(session: Session) -> None:
    rows = [user("U1"), user("U1")]
    report = take(session, rows, partial=True)
    assert report.problems
    assert from_json(ImportReport, json.loads(json.dumps(to_json(report, whole=True)))) == report


# Who may, and which files


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.AUDITOR])
def test_only_a_manager_imports(session: Session, role: Role) -> None:
    other = as_role(session, role)
    before = dump(session.database)
    attempts: list[Callable[[], object]] = [lambda: import_files(other, ["none.csv"]), lambda: take(other, PRICES)]
    for attempt in attempts:
        with pytest.raises(NotAllowed, match="ask a manager"):
            attempt()
    assert dump(session.database) == before


def test_a_missing_file_leaves_the_others_untaken(session: Session, tmp_path: Path) -> None:
    before = dump(session.database)
    with pytest.raises(NotFound, match=r"none\.csv") as missing:
        import_files(session, [*SAMPLE_FILES, tmp_path / "none.csv"])
    with pytest.raises(Unavailable) as unreadable:
        import_files(session, [*SAMPLE_FILES, tmp_path])
    assert (missing.value.exit_code, unreadable.value.exit_code) == (3, 5)
    with pytest.raises(WrongUsage):
        import_files(session, [])
    assert dump(session.database) == before


# Broken files: refused with line, column and reason, and nothing stays


@pytest.mark.parametrize(
    ("data", "line", "column", "reason"), [row[1:] for row in BROKEN_FILES], ids=[row[0] for row in BROKEN_FILES]
)
def test_a_broken_file_refuses_the_whole_import(
    session: Session, data: str | bytes, line: int, column: str, reason: str
) -> None:
    problems = refused(session, USERS, data.encode() if isinstance(data, str) else data, PRICES)
    problem = next(each for each in problems if each.file == "2.csv")
    assert (problem.line, problem.column) == (line, column)
    assert reason in problem.reason


WRONG_ORDERS: list[tuple[Row, str, str]] = [
    (order("1", office="Nowhere"), "office", "no office 'Nowhere'"),
    (order("1", currency="USD"), "currency", "has EUR, not USD"),
    (order("1", "U1;U9"), "user_ids", "'U9' is no user of office 'Elm Court'"),
    (order("1", "U9", "succeed"), "user_ids", "'U9' is no user"),
    (order("1", " U1"), "user_ids", "' U1' is no user"),
    (order("1", "O1"), "user_ids", "'O1' is no user of office 'Elm Court'"),
    (order("1", "O1", "failed"), "user_ids", "'O1' is no user of office 'Elm Court'"),
    (order("1", ""), "user_ids", "is empty, but the order is processing"),
    (order("1", "", "system_processing"), "user_ids", "is empty, but the order is system_processing"),
    (order("1", "N1"), "user_ids", "'N1' is not activated yet"),
    (order("1", "R1"), "user_ids", "'R1' was removed on 2026-05-05"),
    (order("1", "F1"), "user_ids", "'F1' has additional_app: not for subscription"),
    (order("1", type="additional_app"), "user_ids", "'U1' has app: not for additional_app"),
    (order("1", "F2", type="activation", months=""), "user_ids", "'F2' has additional_app: not for activation"),
    (order("1", "N1;U1", type="activation", months=""), "user_ids", "'U1' is already activated, until 2027-01-31"),
    (order("1", "F1", type="additional_app", months=""), "user_ids", "'F1' is already activated"),
    (order("1", "F2", type="additional_app"), "user_ids", "'F2' is not activated yet"),
    (order("1", "N1", type="activation"), "months", "first term"),
    (order("1", "N1", type="activation", months="", until="2027-06-30"), "until", "first term"),
    (order("1", months=""), "months", "for how long"),
    (order("1", months="", until="2027-01-31"), "user_ids", "already runs until 2027-01-31"),
    (order("1", "L1", months="", until="2026-11-22"), "user_ids", "not later than today"),
    (order("1", months="", until="2031-11-22"), "until", "more than 60 months"),
    (order("1", "O1", office="Oak House", months="", until="2027-06-30"), "until", "only a community"),
    (order("1", created_at="2019-12-31T22:59:59Z"), "created_at", "no price for app, renewal by the month, in EUR"),
    (order("1", "E1", office="Oak House", months="60"), "user_ids", "would run past the year 9999"),
    (order("1", created_at="9998-01-01T00:00:00Z", months="", until="9999-01-01"), "created_at", "past the year 9999"),
]


@pytest.fixture
def with_more_people(filled: Session) -> Session:
    more = [user("R1", removed_on="2026-05-05"), user("L1", "2026-10-01", removed_on="")]
    take(filled, more, [user("O1", **OAK), user("E1", "9998-01-01", **OAK)])
    return filled


@pytest.mark.parametrize(("row", "column", "reason"), WRONG_ORDERS)
def test_an_order_that_cannot_stand_is_refused(with_more_people: Session, row: Row, column: str, reason: str) -> None:
    (problem,) = refused(with_more_people, [order("0", "U2"), row])
    assert (problem.file, problem.line, problem.column) == ("1.csv", 3, column), problem
    assert reason in problem.reason


WRONG_USERS: list[tuple[Row, str, str]] = [
    (user("X", office_kind="office"), "office_kind", "has community, not office"),
    (user("X", timezone="Europe/Paris"), "timezone", "has Europe/Berlin, not Europe/Paris"),
    (user("X", currency="USD"), "currency", "has EUR, not USD"),
    (user("U1", office="Other"), "office", "is of office 'Elm Court'"),
    (manager("U1"), "kind", "'U1' is a user"),
    (user("U2"), "user_id", "'U2' stands on line 2 of 1.csv already"),
    (user("U1", removed_on="2026-11-22"), "removed_on", "order 'A' is open for user 'U1'"),
]


@pytest.mark.parametrize(("row", "column", "reason"), WRONG_USERS)
def test_a_user_who_cannot_stand_is_refused(filled: Session, row: Row, column: str, reason: str) -> None:
    take(filled, [order("A")])
    rows = [{**user("U2", name="New"), "removed_on": ""}, {"removed_on": "", **row}]
    (problem,) = refused(filled, rows)
    assert (problem.line, problem.column) == (3, column)
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (price(amount="6"), "amount", "is 5.00 here, not 6.00"),
        (price(tax_rate="0.2"), "tax_rate", "is 0.19 here, not 0.2"),
        (price(amount="4", valid_from="2026-01-01"), "valid_from", "stands on line 2 of 1.csv already"),
        (price(amount="7", valid_from="2026-01-01"), "valid_from", "stands on line 2 of 1.csv already"),
    ],
)
def test_a_price_never_changes(filled: Session, row: Row, column: str, reason: str) -> None:
    (problem,) = refused(filled, [price(amount="4", valid_from="2026-01-01"), row])
    assert (problem.line, problem.column) == (3, column)
    assert reason in problem.reason


def test_a_new_day_or_office_kind_is_a_new_price(filled: Session) -> None:
    rows = [price(amount="6", valid_from="2026-01-01"), price(amount="7", office_kind="office"), price()]
    (report,) = take(filled, rows).files
    assert (report.added, report.unchanged) == (2, 1)
    assert Price.select().where(Price.office_kind == OfficeKind.OFFICE).get().amount == 700


def test_rows_of_two_files_are_compared_with_each_other(session: Session) -> None:
    problems = refused(
        session,
        [order("A"), order("A", "U2")],
        PRICES,
        USERS,
        [order("A")],
        [user("U1")],
        [price()],
        [user("X", currency="USD", office="New"), user("Y", office="New")],
    )
    assert [(each.file, each.line, each.column) for each in problems] == [
        ("1.csv", 3, "order_number"),
        ("4.csv", 2, "order_number"),
        ("5.csv", 2, "user_id"),
        ("6.csv", 2, "valid_from"),
        ("7.csv", 3, "currency"),
    ]


def test_the_message_shows_the_first_problems_and_counts_the_others(session: Session) -> None:
    rows = [user(f"U{place}", name="") for place in range(25)]
    with pytest.raises(ImportRefused) as caught:
        take(session, rows)
    message = caught.value.message.splitlines()
    assert message[0] == "1.csv:2: name: is empty"
    assert message[19:] == ["1.csv:21: name: is empty", "... and 5 more; nothing was imported"]
    assert len(caught.value.problems) == 25
    with pytest.raises(ImportRefused, match=r"\.\.\. and 1 more; nothing was imported$"):
        take(session, rows[:21])
    with pytest.raises(ImportRefused, match=r"^1.csv:2: name: is empty\nnothing was imported$"):
        take(session, rows[:1])


# Partial


def test_partial_takes_the_good_rows_and_reports_the_others(session: Session) -> None:
    users = [*USERS, user("X", name="")]
    orders = [order("A"), order("B", "U1"), order("C", "X", "succeed"), order("D", "U2", months="61"), order("E", "U3")]
    report = take(session, orders, users, PRICES, partial=True)
    assert [(each.added, each.refused) for each in report.files] == [(2, 3), (7, 1), (9, 0)]
    assert [(each.file, each.line, each.column) for each in report.problems] == [
        ("1.csv", 3, "user_ids"),
        ("1.csv", 4, "user_ids"),
        ("1.csv", 5, "months"),
        ("2.csv", 9, "name"),
    ]
    assert set(column(Order.select(Order.number))) == {"A", "E"}
    assert "refused: 1.csv:5: months: '61'" in report.text()


def test_partial_makes_no_office_of_refused_rows(session: Session) -> None:
    take(session, [user("X", office="Ghost", service="pm_app"), user("U1")], partial=True)
    assert column(Office.select(Office.name)) == ["Elm Court"]


def test_partial_with_nothing_good_leaves_nothing(session: Session) -> None:
    before = dump(session.database)
    report = take(session, [user("X", name="")], b"what,ever\n", partial=True)
    assert [each.kind for each in report.files] == [FileKind.USERS, None]
    assert dump(session.database) == before


# Users


def test_users_come_with_office_department_and_opening_dates(session: Session) -> None:
    take(session, [user("U1", "2026-12-31", department="Tower  \u05d0", apartment=""), user("N1", "")])
    found = User.get(User.key == "U1")
    assert (found.department.name, found.office.kind, found.apartment) == ("Tower  \u05d0", OfficeKind.COMMUNITY, None)
    held = Subscription.get(Subscription.user == found)
    dates = (date(2026, 1, 31), date(2026, 12, 31), 31)
    assert (held.activated_on, held.expires_on, held.anchor_day) == dates
    assert (held.opening_activated_on, held.opening_expires_on, held.opening_anchor_day) == dates
    assert expiry("N1") is None


def test_a_known_user_changes_in_what_may_change(filled: Session) -> None:
    row = user("U1", "2027-02-15", name="Änne", email="a@b.example", department="B", apartment="2", removed_on="")
    (report,) = take(filled, [row]).files
    assert (report.changed, report.unchanged) == (1, 0)
    found = User.get(User.key == "U1")
    assert (found.name, found.name_folded, found.email) == ("Änne", "änne", "a@b.example")
    assert (found.department.name, found.apartment) == ("B", "2")
    held = Subscription.get(Subscription.user == found)
    assert (held.expires_on, held.anchor_day, held.opening_expires_on) == (date(2027, 2, 15), 15, date(2027, 2, 15))
    event = one(AuditEvent.select().where(AuditEvent.subject == "U1"))
    assert json.loads(event.before)["expires_on"] == "2027-01-31"
    assert json.loads(event.after) == {
        "name": "Änne",
        "email": "a@b.example",
        "department": "B",
        "apartment": "2",
        "expires_on": "2027-02-15",
    }


def test_dates_may_be_taken_away_while_no_order_touched_them(filled: Session) -> None:
    take(filled, [user("U1", "")])
    held = Subscription.select().join(User).where(User.key == "U1").get()
    assert (held.activated_on, held.expires_on, held.anchor_day, held.opening_anchor_day) == (None,) * 4


def test_dates_may_be_taken_away_where_an_order_touched_somebody_else_s(filled: Session) -> None:
    take(filled, [order("A", "U1")])
    touch("U1")
    (report,) = take(filled, [user("U2", "")]).files
    assert (report.changed, report.refused, report.notes) == (1, 0, ())
    assert Subscription.select().join(User).where(User.key == "U2").get().expires_on is None


def touch(key: str) -> None:
    """As if an order here had extended the person's subscription to 2027-07-31."""
    held = Subscription.select().join(User).where(User.key == key).get()
    day = date(2027, 7, 31)
    OrderLine.update(applied_on=NOW.date(), lapsed=Lapsed.TODAY, new_expiry=day).where(
        OrderLine.subscription == held
    ).execute()
    Subscription.update(expires_on=day).where(Subscription.id == held.id).execute()


def test_dates_that_an_order_here_set_are_kept_and_reported(filled: Session) -> None:
    take(filled, [order("A")])
    touch("U1")
    before = dump(filled.database)
    (report,) = take(filled, [user("U1")]).files
    assert dump(filled.database) == before
    assert report.unchanged == 1
    assert [(each.line, each.column) for each in report.notes] == [(2, "expires_on")]
    assert "kept (until 2027-07-31)" in report.notes[0].reason
    (report,) = take(filled, [user("U1", name="New")]).files
    assert (report.changed, len(report.notes)) == (1, 1)
    assert expiry("U1") == date(2027, 7, 31)
    (report,) = take(filled, [user("U1", "2027-07-31", name="New")]).files
    assert (report.unchanged, report.notes) == (1, ())


def test_notes_are_limited_and_counted(filled: Session) -> None:
    people = [user(f"P{place}") for place in range(103)]
    take(filled, people, [order("A", ";".join(row["user_id"] for row in people))])
    for row in people:
        touch(row["user_id"])
    report = take(filled, people)
    assert (len(report.files[0].notes), report.files[0].more_notes) == (100, 3)
    assert report.text().endswith("... and 3 more")


def test_a_user_is_removed_and_comes_back(filled: Session) -> None:
    take(filled, [user("U1", removed_on="2026-11-01")])
    assert User.get(User.key == "U1").removed_on == date(2026, 11, 1)
    take(filled, [user("U1", name="A file without the column says nothing about it")])
    assert User.get(User.key == "U1").removed_on == date(2026, 11, 1)
    take(filled, [user("U1", removed_on="")])
    assert User.get(User.key == "U1").removed_on is None


def test_who_is_removed_by_an_import_is_in_no_open_order_of_it(filled: Session) -> None:
    (problem,) = refused(filled, [user("U1", removed_on="2026-11-01")], [order("A")])
    assert (problem.file, problem.column) == ("2.csv", "user_ids")


# Orders


def test_an_open_order_takes_its_people_and_can_be_paid(filled: Session) -> None:
    take(filled, [order("A", "U1;U2;M1")])
    made = one(Order.select())
    assert (made.status, made.history, made.version) == (OrderStatus.PROCESSING, False, 1)
    assert made.pay_by == NOW + timedelta(hours=24)
    assert made.created_at == made.status_since == datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
    assert (made.imported_at, made.created_by, made.paid_at) == (NOW, "manager", None)
    assert (made.net, made.tax, made.total) == (8403, 1597, 10000)
    assert claimed("A") == ["M1", "U1", "U2"]
    assert [(line.label, line.action, line.amount, line.tax_rate_ppm, line.days) for line in lines_of("A")] == [
        (f"Name of {key}", LineAction.MONTH, 2801, 190_000, None) for key in ("U1", "U2", "M1")
    ]
    event = one(AuditEvent.select().where(AuditEvent.order == made))
    after = json.loads(event.after)
    assert (event.action, event.admin, after["lines"]) == ("import", "manager", 3)
    assert after["total"] == {"amount": 10000, "currency": "EUR"}


def test_system_processing_takes_its_people_too(filled: Session) -> None:
    take(filled, [order("A", status="system_processing")])
    made = one(Order.select())
    assert (made.status, made.history) == (OrderStatus.SYSTEM_PROCESSING, False)
    assert made.status_since == made.created_at
    assert claimed("A") == ["U1"]


def test_each_rate_has_its_own_tax(session: Session) -> None:
    take(session, [price(), price("pm_app", tax_rate="0.07")], USERS, [order("A", "U1;M1", total="100.01")])
    made = one(Order.select())
    # Shares 50.01 and 50.00: tax 50.01 x 0.19 / 1.19 = 7.98 and 50.00 x 0.07 / 1.07 = 3.27.
    assert [line.amount for line in lines_of("A")] == [4203, 4673]
    assert (made.net, made.tax) == (8876, 1125)


def test_prices_are_those_of_the_created_day_in_the_zone_of_the_office(session: Session) -> None:
    prices = [price(), price(tax_rate="0.5", valid_from="2026-11-20"), price(tax_rate="0", office_kind="office")]
    orders = [
        order("before", "U1", created_at="2026-11-19T22:59:59Z"),
        order("after", "U2", created_at="2026-11-19T23:00:00Z"),
        order("offset", "U3", created_at="2026-11-20T00:00:00+01:00"),
    ]
    take(session, orders, prices, USERS)
    assert column(OrderLine.select(OrderLine.tax_rate_ppm).order_by(OrderLine.id)) == [190_000, 500_000, 500_000]


@pytest.mark.parametrize(
    ("row", "action", "first_term"),
    [
        (order("A", "N1", type="activation", months=""), LineAction.ACTIVATION, 3),
        (order("A", "F2", type="additional_app", months=""), LineAction.ACTIVATION, 3),
        (order("A", "F1", type="additional_app"), LineAction.MONTH, None),
        (order("A", "F1", type="additional_app", months="", until="2027-03-31"), LineAction.DAY, None),
    ],
)
def test_the_type_and_the_term_say_what_a_line_does(
    filled: Session, row: Row, action: LineAction, first_term: int | None
) -> None:
    settings = replace(filled.settings, orders=OrderSettings(first_term_months=3))
    take(replace(filled, settings=settings), [row])
    assert (OrderLine.get().action, Order.get().first_term_months) == (action, first_term)


@pytest.mark.parametrize(
    ("person", "until", "lapsed", "days"),
    [
        ("U1", "2027-02-10", Lapsed.TODAY, 10),
        ("L1", "2026-12-01", Lapsed.TODAY, 10),  # from 21 November, the day in Berlin on which it was ordered
        ("L1", "2026-12-01", Lapsed.CONTINUOUS, 61),
    ],
)
def test_a_renewal_to_a_date_is_priced_by_its_days(
    with_more_people: Session, person: str, until: str, lapsed: Lapsed, days: int
) -> None:
    settings = replace(with_more_people.settings, orders=OrderSettings(lapsed=lapsed))
    take(replace(with_more_people, settings=settings), [order("A", person, months="", until=until)])
    assert OrderLine.get().days == days
    assert (Order.get().until, Order.get().months) == (date.fromisoformat(until), None)


def test_a_renewal_to_a_date_buys_at_least_a_day(with_more_people: Session) -> None:
    # An order of another program, whose clock is ahead.
    row = order("A", "L1", created_at="2026-12-05T12:00:00Z", months="", until="2026-12-01")
    take(with_more_people, [row])
    assert one(lines_of("A")).days == 1


def test_nobody_is_in_two_open_orders(filled: Session) -> None:
    (problem,) = refused(filled, [order("A", "U1;U2"), order("B", "U3;U2")])
    assert (problem.line, problem.column) == (3, "user_ids")
    assert problem.reason == "user 'U2' is held by order 'A', which is open too"
    take(filled, [order("A", "U1;U2")])
    (problem,) = refused(filled, [order("A", "U1;U2"), order("C", "U1")])
    assert problem.line == 3
    assert Claim.select().count() == 2


@pytest.mark.parametrize("status", ["succeed", "failed", "time_out", "cancel"])
def test_a_closed_order_is_history_and_moves_nothing(with_more_people: Session, status: str) -> None:
    before = dump(with_more_people.database)
    row = order("A", "U1;N1;R1;F1", status, type="activation", apartments="9", created_at="2010-01-01T00:00:00Z")
    if status == "succeed":
        row["paid_at"] = "2010-01-01T00:05:00Z"
    take(with_more_people, [row, order("B", "", status, months="", until="2001-01-01", office="Oak House")])
    made = one(Order.select().where(Order.number == "A"))
    assert (made.history, made.net, made.tax, made.total, made.apartments) == (True, None, None, 10000, 9)
    assert (made.status, made.pay_by, made.months, made.first_term_months) == (status, None, 6, None)
    assert (made.paid_at is not None) == (status == "succeed")
    assert [(line.label, line.action, line.amount, line.tax_rate_ppm) for line in lines_of("A")] == [
        (f"Name of {key}", None, None, None) for key in ("U1", "N1", "R1", "F1")
    ]
    assert lines_of("B") == []
    after = dump(with_more_people.database)
    assert [table for table in before if before[table] != after[table]] == ["audit_event", "order_line", "orders"]


def test_a_succeeded_order_may_leave_open_when_it_was_paid(filled: Session) -> None:
    take(filled, [order("A", status="succeed")])
    assert Order.get().paid_at is None


EXISTING: list[tuple[str, str]] = [
    ("office", "Oak House"),
    ("type", "additional_app"),
    ("status", "failed"),
    ("apartments", "2"),
    ("total", "100.01"),
    ("created_at", "2026-11-21T22:30:01Z"),
    ("months", "7"),
    ("months", ""),
    ("user_ids", "U1"),
    ("user_ids", ""),
]


@pytest.mark.parametrize(("column", "value"), EXISTING)
@pytest.mark.parametrize("status", ["processing", "cancel"])
def test_an_order_that_is_here_with_other_contents_is_refused(
    filled: Session, status: str, column: str, value: str
) -> None:
    row = order("A", "U1;U2", status)
    take(filled, [row])
    (problem,) = refused(filled, [row | {column: value}])
    assert (problem.line, problem.column) == (2, column)
    assert "'A' is here already" in problem.reason
    assert "is None" not in problem.reason


def test_what_is_empty_here_is_said_to_be(filled: Session) -> None:
    row = order("A", "", "cancel", months="", until="2026-12-31")
    take(filled, [row])
    for name, value in (("months", "7"), ("user_ids", "U1")):
        (problem,) = refused(filled, [row | {"until": "" if name == "months" else row["until"], name: value}])
        assert problem.column == name
        assert problem.reason.startswith(f"order 'A' is here already and its {name} is empty: ")


def test_an_order_that_is_here_compares_its_people_in_any_order(filled: Session) -> None:
    take(filled, [order("A", "U1;U2")])
    (report,) = take(filled, [order("A", "U2;U1")]).files
    assert report.unchanged == 1


def test_another_paid_at_is_other_contents(filled: Session) -> None:
    row = order("A", status="succeed", paid_at="2026-11-22T00:00:00Z")
    take(filled, [row])
    (problem,) = refused(filled, [row | {"paid_at": ""}])
    assert (problem.column, "2026-11-22T00:00:00Z" in problem.reason) == ("paid_at", True)


def cancelled() -> None:
    Order.update(status=OrderStatus.CANCEL, version=2).execute()
    Claim.delete().execute()


def deleted() -> None:
    cancelled()
    Order.update(deleted_at=NOW).execute()


@pytest.mark.parametrize(("move", "word"), [(cancelled, "cancel"), (deleted, "deleted")])
def test_an_order_that_moved_on_here_is_skipped_and_reported(
    filled: Session, move: Callable[[], None], word: str
) -> None:
    take(filled, [order("A")])
    move()
    before = dump(filled.database)
    whole = take(filled, [order("A")])
    (report,) = whole.files
    assert dump(filled.database) == before
    assert (report.skipped, report.added, report.changed, report.refused) == (1, 0, 0, 0)
    assert [(each.line, each.column) for each in report.notes] == [(2, "status")]
    assert f"it is {word}" in report.notes[0].reason
    assert "1 skipped" in whole.text()
    (problem,) = refused(filled, [order("A", total="1")])
    assert problem.column == "total"


# The trail


def test_each_file_that_changes_something_has_one_event_with_its_digest(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(csv_of(USERS))
    import_files(session, [path])
    event = one(AuditEvent.select())
    assert (event.action, event.subject, event.admin, event.order_id) == ("import", "users.csv", "manager", None)
    after = json.loads(event.after)
    assert (after["kind"], after["rows"], after["added"], len(after["sha256"])) == ("users", 7, 7, 64)
    take(session, USERS, PRICES)
    assert [each.subject for each in AuditEvent.select()] == ["users.csv", "2.csv"]


def test_who_is_changed_by_a_file_has_an_event_with_what_was_and_is(session: Session) -> None:
    take(session, PRICES, [user("U1")])
    take(session, [user("U1", "2027-02-28", activated_on="2026-02-28", name="Other")])
    event = one(AuditEvent.select().where(AuditEvent.subject == "U1"))
    assert json.loads(event.before) == {
        "name": "Name of U1",
        "activated_on": "2026-01-31",
        "expires_on": "2027-01-31",
    }
    assert json.loads(event.after) == {"name": "Other", "activated_on": "2026-02-28", "expires_on": "2027-02-28"}


def test_a_request_with_files_by_their_names_is_done_once(session: Session) -> None:
    first = import_files(session, SAMPLE_FILES, request_id="r1")
    before = dump(session.database)
    assert import_files(session, SAMPLE_FILES, request_id="r1") == first
    assert dump(session.database) == before
    assert "unchanged" in import_files(session, SAMPLE_FILES).text()


def test_a_file_without_rows_is_told_as_one(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(SAMPLE_FILES[1].read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    assert f"{file}: no rows" in import_files(session, [file]).text()


def test_a_request_is_done_once(session: Session) -> None:
    first = take(session, PRICES, USERS, request_id="r1")
    before = dump(session.database)
    assert take(session, PRICES, USERS, request_id="r1") == first
    with pytest.raises(Refused, match="used for something else"):
        take(session, PRICES, [user("X")], request_id="r1")
    assert dump(session.database) == before


# Whatever the rows


RATES = ["0", "0.05", "0.19", "0.123456", "1"]


@given(
    total=st.integers(0, 10**11),
    rates=st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    people=st.lists(st.sampled_from(["U1", "U2", "U3", "M1", "M2", "M3"]), min_size=1, unique=True),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_lines_net_and_tax_add_up_to_the_stated_total(
    total: int, rates: tuple[str, str], people: list[str], currency: str
) -> None:
    session = memory_session()
    decimals = {"EUR": 2, "JPY": 0, "KWD": 3}[currency]
    money = {"currency": currency}
    prices = [
        price(service, tax_rate=rate, amount="1", **money)
        for service, rate in zip(("app", "pm_app"), rates, strict=True)
    ]
    users = [make(f"{letter}{place}", **money) for letter, make in (("U", user), ("M", manager)) for place in (1, 2, 3)]
    stated = f"{total / 10**decimals:.{decimals}f}"
    take(session, prices, users, [order("A", ";".join(people), total=stated, **money)])
    made, lines = one(Order.select()), lines_of("A")
    assert made.total == total
    assert sum(line.amount for line in lines) == made.net
    assert made.net + made.tax == made.total
    # No two lines of one rate differ by more than the spare unit of their shares and of their net.
    for rate in {line.tax_rate_ppm for line in lines}:
        amounts = [line.amount for line in lines if line.tax_rate_ppm == rate]
        assert max(amounts) - min(amounts) <= 1


PEOPLE = st.sampled_from(["U1", "U2", "U3", "N1", "M1", "F1", "F2"])
ORDERS = st.lists(
    st.builds(
        lambda number, people, status, kind, months: order(
            str(number), ";".join(people), status, type=kind, months=months
        ),
        st.integers(1, 4),
        st.lists(PEOPLE, max_size=3, unique=True),
        st.sampled_from([status.value for status in OrderStatus]),
        st.sampled_from(["activation", "subscription", "additional_app"]),
        st.sampled_from(["", "1", "60", "61"]),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.long
@given(ORDERS)
def test_partial_takes_exactly_the_rows_that_it_does_not_report(rows: list[Row]) -> None:
    session = memory_session()
    take(session, PRICES, USERS)
    (report,) = take(session, rows, partial=True).files
    bad = {problem.line for problem in report.problems}
    good = [row for line, row in enumerate(rows, start=2) if line not in bad]
    assert (report.added, report.refused) == (len(good), len(bad))
    assert Order.select().count() == len(good)
    held = [key for row in good if "processing" in row["status"] for key in row["user_ids"].split(";")]
    assert sorted(held) == sorted(key for number in range(5) for key in claimed(str(number)))
    # What was taken is a whole import of its own, and what was reported is why all of it would be refused.
    other = memory_session()
    take(other, PRICES, USERS)
    if bad:
        assert {problem.line for problem in refused(other, rows)} == bad
    if good:
        assert take(other, good).files[0].added == len(good)
        again = dump(other.database)
        assert take(other, good).files[0].unchanged == len(good)
        assert dump(other.database) == again
