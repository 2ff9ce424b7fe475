"""Reading CSV: what is a row, where it stands, and why something is none."""

from __future__ import annotations

import csv
import io
import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from smartsub_tui.data.csv_files import (
    COLUMNS,
    CsvFile,
    FileKind,
    OrderEntry,
    PriceEntry,
    Problem,
    UserEntry,
    read_bytes,
    read_file,
)
from smartsub_tui.data.vocabulary import LineAction, OfficeKind, OrderStatus, OrderType, Service, UserKind
from smartsub_tui.errors import NotFound, Unavailable

SAMPLES = Path(__file__).with_name("samples")

PRICE = {
    "service": "app",
    "action": "month",
    "amount": "3.10",
    "currency": "EUR",
    "office_kind": "",
    "tax_rate": "0.19",
    "valid_from": "2024-01-01",
}
USER = {
    "office": "Oak House",
    "office_kind": "office",
    "timezone": "Europe/Berlin",
    "currency": "EUR",
    "department": "Sales",
    "user_id": "U1",
    "name": "Ann",
    "email": "",
    "kind": "user",
    "apartment": "",
    "service": "app",
    "activated_on": "2026-01-31",
    "expires_on": "2026-12-31",
}
ORDER = {
    "order_number": "20260101000000000001",
    "office": "Oak House",
    "type": "subscription",
    "status": "succeed",
    "apartments": "2",
    "total": "42.84",
    "currency": "EUR",
    "created_at": "2026-01-01T00:00:00Z",
    "paid_at": "2026-01-01T00:04:00Z",
    "months": "6",
    "until": "",
    "user_ids": "U1;U2",
}


def text(*rows: dict[str, str], end: str = "\n") -> str:
    """CSV as the standard library writes it; the header is that of the first row."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def read(data: str | bytes) -> CsvFile:
    return read_bytes("some.csv", data.encode() if isinstance(data, str) else data)


def only(data: str | bytes) -> Problem:
    """The one problem of a file."""
    (problem,) = read(data).problems
    return problem


def test_a_price_is_read_in_minor_units_and_parts_per_million() -> None:
    assert read(text({**PRICE, "office_kind": "community"})).entries == (
        PriceEntry(
            "some.csv",
            2,
            Service.APP,
            LineAction.MONTH,
            310,
            "EUR",
            OfficeKind.COMMUNITY,
            190_000,
            date(2024, 1, 1),
        ),
    )


def test_a_user_is_read_with_dates() -> None:
    (row,) = read(text(USER)).entries
    assert isinstance(row, UserEntry)
    assert (row.kind, row.service, row.office_kind) == (UserKind.USER, Service.APP, OfficeKind.OFFICE)
    assert (row.activated_on, row.expires_on) == (date(2026, 1, 31), date(2026, 12, 31))
    assert row.apartment is None
    assert not row.says_removed


def test_removed_on_is_optional_and_an_empty_one_says_something() -> None:
    (row,) = read(text({**USER, "removed_on": "2026-02-03"})).entries
    assert (row.removed_on, row.says_removed) == (date(2026, 2, 3), True)
    (row,) = read(text({**USER, "removed_on": ""})).entries
    assert (row.removed_on, row.says_removed) == (None, True)


def test_an_order_is_read_in_utc() -> None:
    (row,) = read(text({**ORDER, "created_at": "2026-01-01T01:00:00.5+01:00"})).entries
    assert isinstance(row, OrderEntry)
    assert (row.type, row.status, row.total) == (OrderType.SUBSCRIPTION, OrderStatus.SUCCEED, 4284)
    assert row.created_at == datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert row.created_at.utcoffset() == row.paid_at.utcoffset() == datetime.now(UTC).utcoffset()  # type: ignore[union-attr]
    assert (row.months, row.until, row.user_ids) == (6, None, ("U1", "U2"))


@pytest.mark.parametrize("kind", list(FileKind))
def test_the_header_tells_the_kind_in_any_order_of_columns(kind: FileKind) -> None:
    row = {FileKind.PRICES: PRICE, FileKind.USERS: USER, FileKind.ORDERS: ORDER}[kind]
    assert list(row) == [name for name in COLUMNS[kind] if name != "removed_on"]
    backward = dict(reversed(row.items()))
    assert (read(text(row)).kind, read(text(row)).entries) == (kind, read(text(backward)).entries)
    assert read(text(row)).count == 1


@pytest.mark.parametrize("name", ["prices", "users", "orders"])
def test_the_samples_are_whole(name: str) -> None:
    file = read_file(SAMPLES / f"{name}.csv")
    assert file.problems == ()
    assert file.kind == name
    assert len(file.entries) == file.count == {"prices": 12, "users": 40, "orders": 60}[name]


def test_a_header_alone_is_a_file_without_rows() -> None:
    for end in ("", "\n", "\r\n"):
        file = read(text(USER).splitlines()[0] + end)
        assert (file.kind, file.count, file.entries, file.problems) == (FileKind.USERS, 0, (), ())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_a_bom_and_empty_lines_do_not_matter(end: str) -> None:
    plain = read(text(ORDER))
    other = read("\ufeff" + text(ORDER).replace("\n", end) + end)
    assert (other.entries, other.problems) == (plain.entries, ())
    assert read(text(ORDER).rstrip("\n")).entries == plain.entries


def test_text_is_stored_as_it_came() -> None:
    name = 'Ann "The\r\nBoss" O\u202eBrien,\x1b[31m  \u00e9e\u0301 \u2028\x85\x0b '
    (row,) = read(text({**USER, "name": name})).entries
    assert row.name == name


def test_a_quoted_field_ends_where_its_quote_does() -> None:
    names = ['first\nsays "hello"\nand goes', '"', '""\n"', "\n\n", '",\n,"']
    file = read(text(*[{**USER, "email": name} for name in names]))
    assert [row.email for row in file.entries] == names
    assert [row.line for row in file.entries] == [2, 5, 6, 8, 11]


def test_a_row_has_the_line_on_which_it_starts() -> None:
    file = read(text({**USER, "name": "two\nlines\n"}, {**USER, "user_id": ""}, {**USER, "name": ""}))
    assert file.entries[0].line == 2
    assert [(each.line, each.column) for each in file.problems] == [(5, "user_id"), (6, "name")]


def test_every_wrong_field_of_a_row_is_reported() -> None:
    file = read(text({**ORDER, "status": "done", "months": "61", "created_at": "yesterday"}))
    assert [each.column for each in file.problems] == ["status", "created_at", "months"]


def test_a_problem_is_one_line_that_points_at_its_place() -> None:
    assert str(only(text({**USER, "name": ""}))) == "some.csv:2: name: is empty"
    hostile = only(text({**USER, "kind": "\x1b]52;c;x\a\u202e\n" + "y" * 1000}))
    assert str(hostile).isprintable()
    assert len(str(hostile)) < 250


WRONG_FIELDS: list[tuple[dict[str, str], str, str, str]] = [
    (PRICE, "service", "apps", "did you mean app?"),
    (PRICE, "action", "", "is empty: there are activation, month, day"),
    (PRICE, "amount", "", "is empty"),
    (PRICE, "amount", "-1", "no amount"),
    (PRICE, "amount", "1,000", "no amount"),
    (PRICE, "amount", "1e3", "no amount"),
    (PRICE, "amount", " 1", "no amount"),
    (PRICE, "amount", "١", "no amount"),
    (PRICE, "amount", "0.105", "more decimals than EUR"),
    (PRICE, "amount", "9" * 400, "no amount"),
    (PRICE, "currency", "EURO", "no currency"),
    (PRICE, "currency", "eur", "no currency"),
    (PRICE, "currency", "JPY", "more decimals than JPY"),
    (PRICE, "office_kind", "both", "unknown"),
    (PRICE, "tax_rate", "19", "not from 0 to 1"),
    (PRICE, "tax_rate", "1.000001", "not from 0 to 1"),
    (PRICE, "tax_rate", "0.1900000", "more than 6 decimals"),
    (PRICE, "tax_rate", "19%", "no tax rate"),
    (PRICE, "tax_rate", "-0.1", "no tax rate"),
    (PRICE, "tax_rate", "", "no tax rate"),
    (PRICE, "valid_from", "", "no date"),
    (PRICE, "valid_from", "2024-1-1", "no date"),
    (PRICE, "valid_from", "20240101", "no date"),
    (PRICE, "valid_from", "2024-W01-1", "no date"),
    (PRICE, "valid_from", "2023-02-29", "no day of the calendar"),
    (PRICE, "valid_from", "0000-01-01", "no day of the calendar"),
    (PRICE, "valid_from", "2024-01-01T00:00:00", "no date"),
    (PRICE, "valid_from", "٢٠٢٤-٠١-٠١", "no date"),
    (USER, "office", "", "is empty"),
    (USER, "office_kind", "Office", "did you mean office?"),
    (USER, "timezone", "Europe/Belin", "no time zone"),
    (USER, "timezone", "+01:00", "no time zone"),
    (USER, "timezone", "../etc/passwd", "no time zone"),
    (USER, "timezone", "", "no time zone"),
    (USER, "department", " ", "is empty"),
    (USER, "user_id", "", "is empty"),
    (USER, "user_id", "U1;U2", "separates"),
    (USER, "name", "", "is empty"),
    (USER, "name", "\u3000 ", "is empty"),
    (USER, "kind", "propertymanager", "did you mean property_manager?"),
    (USER, "service", "pm_app", "a user has app, not pm_app"),
    (USER, "service", "video", "unknown"),
    (USER, "activated_on", "", "is empty, but expires_on is not"),
    (USER, "expires_on", "", "is empty, but activated_on is not"),
    (USER, "expires_on", "2026-01-30", "before activated_on"),
    (USER, "removed_on", "x", "no date"),
    (ORDER, "order_number", "", "is empty"),
    (ORDER, "type", "renewal", "unknown"),
    (ORDER, "status", "timeout", "did you mean time_out?"),
    (ORDER, "status", "cancel", "is filled, but a cancel order is not paid"),
    (ORDER, "apartments", "", "no whole number"),
    (ORDER, "apartments", "-1", "no whole number"),
    (ORDER, "apartments", "1.0", "no whole number"),
    (ORDER, "apartments", "9" * 10, "no whole number"),
    (ORDER, "apartments", "²", "no whole number"),
    (ORDER, "total", "42,84", "no amount"),
    (ORDER, "total", "1000000000000000", "is more than"),
    (ORDER, "created_at", "", "no instant"),
    (ORDER, "created_at", "2026-01-01", "no instant"),
    (ORDER, "created_at", "2026-01-01T00:00:00", "no instant"),
    (ORDER, "created_at", "2026-01-01 00:00:00Z", "no instant"),
    (ORDER, "created_at", "2026-01-01T00:00:00.1234567Z", "no instant"),
    (ORDER, "created_at", "2026-01-01T25:00:00Z", "no instant of the calendar"),
    (ORDER, "created_at", "2026-02-30T00:00:00Z", "no instant of the calendar"),
    (ORDER, "created_at", "2026-01-01T00:00:00+24:00", "no instant of the calendar"),
    (ORDER, "created_at", "0001-01-01T00:00:00+05:00", "no instant of the calendar"),
    (ORDER, "created_at", "9999-12-31T23:59:59Z", "years 2 to 9998"),
    (ORDER, "paid_at", "2026-01-01", "no instant"),
    (ORDER, "months", "0", "from 1 to 60"),
    (ORDER, "months", "61", "from 1 to 60"),
    (ORDER, "months", "1.5", "from 1 to 60"),
    (ORDER, "months", " 6", "from 1 to 60"),
    (ORDER, "until", "2026-12-31", "is filled, and months is too"),
    (ORDER, "until", "31.12.2026", "no date"),
    (ORDER, "user_ids", "U1;;U2", "empty user_id"),
    (ORDER, "user_ids", "U1;", "empty user_id"),
    (ORDER, "user_ids", "U1;U2;U1", "'U1' twice"),
]


@pytest.mark.parametrize(("row", "column", "value", "reason"), WRONG_FIELDS)
def test_a_wrong_field_is_refused_with_line_column_and_reason(
    row: dict[str, str], column: str, value: str, reason: str
) -> None:
    problem = only(text({**row, column: value}))
    # A currency that the amount does not fit, or a paid_at that the status does not, is a matter of the other column.
    other = {("currency", "JPY"): "amount", ("status", "cancel"): "paid_at"}.get((column, value), column)
    assert (problem.file, problem.line, problem.column) == ("some.csv", 2, other)
    assert reason in problem.reason


def lines(row: dict[str, str], *more: str) -> str:
    return text(row) + "".join(f"{each}\n" for each in more)


GOOD_PRICE = "app,day,0.1,EUR,,0.19,2024-01-01"
BROKEN_FILES: list[tuple[str, str | bytes, int, str, str]] = [
    ("empty", "", 1, "", "is empty"),
    ("a BOM alone", "\ufeff", 1, "", "is empty"),
    ("blank lines alone", "\n\r\n\n", 1, "", "is empty"),
    ("another file", "a,b\n1,2\n", 1, "", "tells no kind of file"),
    ("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 1, "", "no UTF-8"),
    ("UTF-16", text(PRICE).encode("utf-16"), 1, "", "no UTF-8"),
    ("semicolons", text(PRICE).replace(",", ";"), 1, "", "no commas"),
    ("a near column", text(PRICE).replace("amount", "ammount"), 1, "ammount", "did you mean amount?"),
    ("another case", text(PRICE).replace("amount", "Amount"), 1, "Amount", "did you mean amount?"),
    ("one column more", text({**ORDER, "comment": "x"}), 1, "comment", "is no column of orders"),
    ("a nameless column", text({**ORDER, "": "x"}), 1, "''", "is no column of orders"),
    ("a hostile column", text({**ORDER, "\x1b[2J": "x"}), 1, "'\\x1b[2J'", "is no column of orders"),
    ("twice the same column", text(PRICE).replace("office_kind", "currency"), 1, "currency", "twice"),
    ("a column less", text({k: v for k, v in USER.items() if k != "email"}), 1, "email", "is missing"),
    ("a field less", lines(PRICE, "app,day,0.1,EUR,,0.19"), 3, "valid_from", "6 fields, the header names 7"),
    ("a field more", lines(PRICE, GOOD_PRICE + ","), 3, "valid_from", "8 fields, the header names 7"),
    ("blanks for a line", lines(PRICE, "  "), 3, "action", "1 fields, the header names 7"),
    ("a NUL", lines(PRICE, "app,day,0.1,EUR,,0.\x0019,2024-01-01"), 3, "tax_rate", "NUL"),
    ("Latin-1", text({**USER, "name": "Jörg"}).encode("latin-1"), 2, "name", "no UTF-8 (F6)"),
    ("cut UTF-8", text({**USER, "name": "Jörg"}).encode().replace(b"\xb6", b""), 2, "name", "no UTF-8 (C3)"),
    ("UTF-8 of a surrogate", text(USER).encode().replace(b"Ann", b"\xed\xa0\x80"), 2, "name", "no UTF-8"),
    ("a quote inside", lines(PRICE, 'app,d"ay,0.1,EUR,,0.19,2024-01-01'), 3, "action", "a quote stands inside"),
    ("text after a quote", lines(PRICE, 'app,"day"s,0.1,EUR,,0.19,2024-01-01'), 3, "action", "text follows the quote"),
    ("a blank before a quote", lines(PRICE, 'app, "day",1,EUR,,0,2024-01-01'), 3, "action", "a quote stands inside"),
    ("a truncated quote", lines(PRICE, 'app,"day,0.1,EUR,,0.19', GOOD_PRICE), 3, "action", "is not closed"),
    ("a quote closed late", lines(PRICE, 'app,"day,1', 'app,d"ay,1'), 3, "action", "text follows the quote"),
    ("a CR inside", lines(PRICE, "app,day,0.1,EUR,\r,0.19,2024-01-01"), 3, "office_kind", "a line break"),
    ("old line ends", text(PRICE).replace("\n", "\r"), 1, "", "a line break"),
]


@pytest.mark.parametrize(
    ("data", "line", "column", "reason"), [row[1:] for row in BROKEN_FILES], ids=[row[0] for row in BROKEN_FILES]
)
def test_a_broken_file_is_refused_with_line_column_and_reason(
    data: str | bytes, line: int, column: str, reason: str
) -> None:
    problem = read(data).problems[0]
    assert (problem.line, problem.column) == (line, column)
    assert reason in problem.reason
    assert str(problem).isprintable()


def test_good_rows_around_broken_ones_are_read() -> None:
    data = lines(PRICE, "app", 'app,"day"s,1,EUR,,0,2024-01-01', GOOD_PRICE).encode() + b"\xff\n" + GOOD_PRICE.encode()
    file = read(data)
    assert [row.line for row in file.entries] == [2, 5, 7]
    assert [each.line for each in file.problems] == [3, 4, 6]
    assert file.count == 6


def test_a_truncated_quote_takes_the_rest_of_the_file_quickly() -> None:
    data = lines(PRICE, 'app,"day', *[GOOD_PRICE] * 50_000)
    file = read(data)
    assert (file.count, len(file.entries), len(file.problems)) == (2, 1, 1)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path / "no\0ne.csv", tmp_path / "file" / "x.csv"):
        (tmp_path / "file").write_text("")
        with pytest.raises(NotFound, match="no file"):
            read_file(path)


def test_what_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        read_file(tmp_path)


def test_a_hostile_file_name_is_shown_harmlessly(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\x1b[2J\xff.csv"
    with open(name, "wb") as file:
        file.write(text(PRICE).encode())
    shown = read_file(os.fsdecode(name)).file
    assert shown.isprintable()
    assert shown.encode()


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))] * 3),
        min_size=1,
        max_size=5,
    )
)
def test_what_the_standard_library_writes_is_read_back(texts: list[tuple[str, str, str]]) -> None:
    assume(not any(email.startswith("'") for _, email, _ in texts))  # the mark of a cell that was made harmless
    # With "\n" alone for a line end it would leave a "\r" without quotes.
    rows = [{**USER, "name": f"n{a}", "email": b, "department": f"d{c}"} for a, b, c in texts]
    file = read(text(*rows, end="\r\n"))
    assert file.problems == ()
    assert [(row.name, row.email, row.department) for row in file.entries] == [
        (row["name"], row["email"], row["department"]) for row in rows
    ]


PIECES = st.one_of(st.binary(max_size=8), st.sampled_from([b'"', b",", b"\n", b"\r\n", b"U1", GOOD_PRICE.encode()]))


@given(st.sampled_from([PRICE, USER, ORDER]), st.lists(PIECES, max_size=20))
def test_every_row_is_read_or_reported(row: dict[str, str], pieces: list[bytes]) -> None:
    file = read(text(row).encode() + b"".join(pieces))
    assert len(file.entries) + len({each.line for each in file.problems}) == file.count
    assert all(str(each).isprintable() for each in file.problems)


@given(st.lists(st.one_of(PIECES, st.sampled_from([text(PRICE).encode(), b"\xef\xbb\xbf"])), max_size=20))
def test_no_bytes_break_the_reader(pieces: list[bytes]) -> None:
    assert all(str(each).isprintable() for each in read(b"".join(pieces)).problems)
