"""The filter language: what is read and written, what is refused and where, and what it means."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from smartsub_tui.clock import local_date
from smartsub_tui.data.filter_meaning import (
    OrderFacts,
    PaymentFacts,
    PersonFacts,
    UserFacts,
    matches_order,
    matches_user,
    pieces_match,
)
from smartsub_tui.data.filters import (
    BARE,
    LONGEST,
    ORDER_KEYS,
    USER_KEYS,
    Choice,
    Currency,
    Days,
    Duration,
    Durations,
    Filter,
    FilterError,
    Key,
    Moment,
    NearDay,
    Numbers,
    OrderMark,
    Period,
    Subject,
    Takes,
    Term,
    Text,
    anywhere,
    day_start,
    instant_span,
    parse_orders,
    parse_users,
    quoted,
)
from smartsub_tui.data.money import DECIMALS
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import (
    OrderStatus,
    OrderType,
    PaymentState,
    ProviderName,
    Service,
    UserKind,
)
from smartsub_tui.errors import WrongUsage

NOW: Final = datetime(2026, 11, 22, 9, 31, 17, tzinfo=UTC)
MOMENT: Final = Moment(NOW, "Europe/Berlin")
EXAMPLES: Final = settings().max_examples  # those of the profile
PARSERS: Final = {"orders": parse_orders, "users": parse_users}

# --- What can be written, as values

# Wildcards of the language and of SQL, its quotes and escapes, letters whose case or composition is special.
HOSTILE: Final = "abAB09 ,:-*%_\\\"'.<>=()\tıİiIßẞſKÅ\u0301\u0130\u00e9\u00c9е漢\u00a0\U0001f600"
texts = st.text(st.sampled_from(HOSTILE), min_size=1, max_size=6)


@st.composite
def patterns(draw: st.DrawFn, literals: st.SearchStrategy[str] = texts) -> Text:
    pieces = draw(st.lists(literals, min_size=1, max_size=3))
    if draw(st.booleans()):
        pieces = ["", *pieces]
    if draw(st.booleans()):
        pieces = [*pieces, ""]
    return Text(tuple(pieces)) if draw(st.integers(0, 9)) else Text(("", ""))


periods = st.one_of(
    st.builds(Period, st.integers(1, 9999)),
    st.builds(Period, st.integers(1, 9999), st.integers(1, 12)),
    st.dates().map(lambda day: Period(day.year, day.month, day.day)),
)
amounts = st.integers(0, 10**18 - 1) | st.integers(0, 500).map(lambda hundredths: hundredths * 100)


def durations(units: str = "mhdw") -> st.SearchStrategy[Duration]:
    return st.builds(Duration, st.integers(0, 5000), st.sampled_from(units)) | st.builds(
        Duration, st.integers(0, 60), st.sampled_from(units)
    )


@st.composite
def ranges(draw: st.DrawFn, kind: Any, ends: st.SearchStrategy[Any]) -> Any:
    """A range of `kind` between any ends that it takes."""
    shape = draw(st.sampled_from(["both", "same", "from", "to", "above", "below"]))
    one = draw(ends)
    if shape in ("from", "above"):
        return kind(one, None, shape == "above")
    if shape in ("to", "below"):
        return kind(None, one, shape == "below")
    if shape == "same":
        return kind(one, one)
    other = draw(ends)
    try:
        return kind(one, other)
    except ValueError:
        return kind(other, one)


def values(key: Key, words: st.SearchStrategy[str] = texts) -> st.SearchStrategy[Any]:
    """The values that a key takes; patterns are made of `words`."""
    days = ranges(Days, periods | st.sampled_from(NearDay))
    match key.takes:
        case Takes.TEXT:
            return patterns(words)
        case Takes.WORD:
            return st.sampled_from(list(key.words.values())).map(Choice)
        case Takes.CURRENCY:
            return st.sampled_from(sorted(DECIMALS)).map(Currency)
        case Takes.WHOLE | Takes.AMOUNT:
            return ranges(Numbers, amounts)
        case Takes.EXPIRY:
            return days | ranges(Durations, durations("dw"))
        case Takes.PAST | Takes.AHEAD:
            return days | ranges(Durations, durations()).filter(lambda each: each.low != each.high)


def keys_of(subject: Subject) -> dict[str, Key]:
    return {BARE: Key(BARE, ""), **(ORDER_KEYS if subject == "orders" else USER_KEYS)}


@st.composite
def terms(draw: st.DrawFn, subject: Subject) -> Term:
    key = draw(st.sampled_from(list(keys_of(subject).values())))
    several = draw(st.lists(values(key), min_size=1, max_size=3))
    return Term(key.name, tuple(several), draw(st.booleans()))


def filters(subject: Subject) -> st.SearchStrategy[Filter]:
    return st.lists(terms(subject), max_size=4).map(lambda several: Filter(subject, tuple(several)))


both = st.sampled_from(["orders", "users"]).flatmap(lambda subject: filters(subject))  # type: ignore[arg-type]


# --- Reading and writing


@settings(max_examples=3 * EXAMPLES)
@given(both)
def test_what_is_written_reads_back_as_the_same_filter(chosen: Filter) -> None:
    assert PARSERS[chosen.subject](chosen.describe()) == chosen


SYNTAX: Final = [
    "status:", "office:", "created:", "total:", "expires:", "is:", "nonsense:", "failed", "2026-11", "today", "7d",
    "..", "<", ">=", ",", "-", '"', "\\", "*", ":", "a", "9", "é", " ", "\u00a0", "\t", "\0", "0.5",
]  # fmt: skip


@settings(max_examples=3 * EXAMPLES)
@given(
    st.lists(st.sampled_from(SYNTAX), max_size=12).map("".join) | st.text(max_size=12),
    st.sampled_from(["orders", "users"]),
)
@example('office:"a', "orders")
@example("-", "users")
def test_any_text_is_a_filter_or_refused_at_a_place_in_it(text: str, subject: Subject) -> None:
    try:
        chosen = PARSERS[subject](text)
    except FilterError as error:
        refused = error
    else:
        assert PARSERS[subject](chosen.describe()) == chosen
        return
    assert 0 <= refused.start < refused.end <= len(text)
    assert refused.message
    assert refused.message.isprintable()


@given(texts)
def test_quoted_text_means_just_this_text(text: str) -> None:
    chosen = parse_orders(f"office:{quoted(text)}")
    assert chosen.terms == (Term("office", (Text.exact(text),)),)


def test_no_words_mean_everything() -> None:
    assert parse_orders("") == parse_orders(" \t\n ") == Filter("orders")
    assert Filter("orders").describe() == ""


def test_the_example_of_the_language() -> None:
    text = (
        'status:failed,timeout type:subscription office:"Oak*" created:2026-11 total:>100 payby:<2h is:late'
        " -status:cancel 000123"
    )
    chosen = parse_orders(text)
    assert chosen.terms == (
        Term("status", (Choice(OrderStatus.FAILED), Choice(OrderStatus.TIME_OUT))),
        Term("type", (Choice(OrderType.SUBSCRIPTION),)),
        Term("office", (Text(("Oak", "")),)),
        Term("created", (Days(Period(2026, 11), Period(2026, 11)),)),
        Term("total", (Numbers(1_000_000, None, strict=True),)),
        Term("payby", (Durations(None, Duration(2, "h"), strict=True),)),
        Term("is", (Choice(OrderMark.LATE),)),
        Term("status", (Choice(OrderStatus.CANCEL),), negated=True),
        Term(BARE, (Text.exact("000123"),)),
    )
    assert chosen.describe() == text.replace('"Oak*"', "Oak*")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("STATUS:Failed,TIME_OUT", "status:failed,timeout"),
        ("status:system,system_processing", "status:system,system"),
        ("type:additional_app", "type:additional"),
        ("type:Additional", "type:additional"),
        ("currency:eur,Jpy", "currency:EUR,JPY"),
        ("total:007.50..99.00", "total:7.5..99"),
        ("total:42.84", "total:42.84"),
        ("total:0.0001", "total:0.0001"),
        ("total:>=100", "total:100.."),
        ("total:<=100", "total:..100"),
        ("total:100..200", "total:100..200"),
        ("apartments:3..3", "apartments:3"),
        ("created:2026-11-01..2026-11-15", "created:2026-11-01..2026-11-15"),
        ("created:<7d", "created:<7d"),
        ("created:<=07D", "created:..7d"),
        ("created:Yesterday..TODAY", "created:yesterday..today"),
        ("paid:2026..2026-11", "paid:2026..2026-11"),
        ("payby:>2h", "payby:>2h"),
        ('by:"alice"', "by:alice"),
        ('by:a**b by:"**"', "by:a*b by:*"),
        ('office:"Oak*","Elm"', "office:Oak*,Elm"),
        ('office:"Oak Hill","a,b"', 'office:"Oak Hill","a,b"'),
        (r'office:"a\*b"', r'office:"a\*b"'),
        (r'office:"say \"hi\" \\o/"', r'office:"say \"hi\" \\o/"'),
        ('office:"Oak Hill*"', 'office:"Oak Hill*"'),
        ("by:a:b", "by:a:b"),
        ("office:-x", "office:-x"),
        ('"a:b"', '"a:b"'),
        ('"-0001"', '"-0001"'),
        ("-0001", "-0001"),
        ('-"x y",z', '-"x y",z'),
        ("12*34", "12*34"),
    ],
)
def test_there_is_one_way_of_writing(text: str, written: str) -> None:
    assert parse_orders(text).describe() == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("state:inactive,active,expiring,expired,removed", "state:inactive,active,expiring,expired,removed"),
        ("expires:<30d", "expires:<30d"),
        ("expires:8d..30d", "expires:8d..30d"),
        ("expires:2w", "expires:2w"),
        ("order:open order:none", "order:open order:none"),
        ("kind:property_manager service:pm_app apartment:1*", "kind:property_manager service:pm_app apartment:1*"),
        ("user:K1 duong", "user:K1 duong"),
    ],
)
def test_the_words_of_users(text: str, written: str) -> None:
    assert parse_users(text).describe() == written


@pytest.mark.parametrize("key", [*ORDER_KEYS.values(), *USER_KEYS.values()], ids=lambda key: key.name)
def test_every_value_that_is_offered_can_be_read(key: Key) -> None:
    parse = parse_orders if key.name in ORDER_KEYS else parse_users
    assert key.values
    for value in (*key.values, *key.words):
        assert parse(f"{key.name}:{value}").terms[0].key == key.name


# --- What is refused


@pytest.mark.parametrize(
    ("text", "wrong", "says"),
    [
        # unknown words name the nearest right one
        ("is:late stauts:failed", "stauts", "did you mean status:?"),
        ("STAUTS:failed", "STAUTS", "did you mean status:?"),
        ("office:x status:failed,fialed,cancel", "fialed", "did you mean failed?"),
        ("-status:sucess", "sucess", "did you mean succeed?"),
        ("type:subscriptions", "subscriptions", "did you mean subscription?"),
        ("provider:strip", "strip", "did you mean stripe?"),
        ("is:problm", "problm", "did you mean problem?"),
        ("currency:EURO", "EURO", "did you mean EUR?"),
        ("currency:uds", "uds", "did you mean USD?"),
        ("created:tody", "tody", "did you mean today?"),
        ("zzz:1", "zzz", "the keys for orders are status, type,"),
        ("provider:paypal", "paypal", "one of manual, bank, stripe"),
        ('status:"fai*"', '"fai*"', "did you mean failed?"),
        # what is all needs no word
        ("status:all", "all", "leave status: out"),
        ("type:All", "All", "leave type: out"),
        # keys of users
        ("state:active", "state", "a key for users, not for orders"),
        ("expires:<30d", "expires", "a key for users, not for orders"),
        ("expiers:<30d", "expiers", "expires: is one, for users"),
        ("order:0001", "order", "a part of the order number alone"),
        ("number:0001", "number", "a part of the order number alone"),
        # missing pieces
        ("is:late status:", "status:", "needs a value right after the colon"),
        ("-office: Oak", "-office:", "needs a value right after the colon"),
        ('office:""', 'office:""', "needs a value right after the colon"),
        ("status:failed, cancel", ",", "missing after the comma"),
        ("status:failed,", ",", "missing after the comma"),
        ("status:,failed", ",", "missing before the comma"),
        (",failed", ",", "missing before the comma"),
        ("a -", "-", "right before the word"),
        ("- a", "-", "right before the word"),
        ("--a", "--", "one minus"),
        (":a", ":", "a key is missing"),
        ('""', '""', "nothing between the quotes"),
        ("total:..", "..", "a value of total is missing"),
        ("total:>", ">", "a value of total is missing"),
        # quotes
        ('office:"Oak', '"Oak', "not closed"),
        ('office:"Oak\\"', '"Oak\\"', "not closed"),
        ('office:"Oak"s', "s", "after the closing quote"),
        ('office:O"ak" x', '"ak"', "around a whole value"),
        ("office:O\\ak", "\\ak", "a backslash stands in quotes"),
        ('office:"O\\ak"', "\\", "in quotes a backslash stands before"),
        ("ab,c:d", ":", "a colon follows a key"),
        # ranges
        ("created:2026-02-30", "2026-02-30", "no such day"),
        ("created:2026-1", "2026-1", "a day (today"),
        ("created:20261122", "20261122", "a day (today"),
        ("created:0000", "0000", "no such day"),
        ("created:٢٠٢٦", "٢٠٢٦", "a day (today"),
        ("created:<7x", "7x", "an age (<7d)"),
        ("created:7d", "7d", "write <7d or >7d"),
        ("payby:2h..2h", "2h..2h", "write <2h or >2h"),
        ("created:<99999w", "<99999w", "at most 36525d"),
        ("created:2026-11-15..2026-11-01", "2026-11-15..2026-11-01", "turn them round"),
        ("created:today..yesterday", "today..yesterday", "turn them round"),
        ("created:2h..1m", "2h..1m", "turn them round"),
        ("created:2026..7d", "2026..7d", "from day to day"),
        ("total:200..100", "200..100", "turn them round"),
        ("total:-1", "-1", "an amount"),
        ("total:1..2..3", "2..3", "an amount"),
        ("total:>1..2", "1..2", "an amount"),
        ("total:0.00001", "0.00001", "an amount"),
        ("total:1e3", "1e3", "an amount"),
        ("total:EUR5", "EUR5", "an amount"),
        ("apartments:1.5", "1.5", "a whole number"),
        ("apartments:2..x", "x", "a whole number"),
        # what no text holds
        ("office:a\0b", "\0", "no text holds"),
        ("office:\udce9", "\udce9", "no text holds"),
        ("x" * LONGEST + "yz", "yz", "at most 4000 characters"),
    ],
)
def test_a_wrong_filter_of_orders_says_where_and_what_would_be_right(text: str, wrong: str, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_orders(text)
    error = caught.value
    assert text[error.start : error.end] == wrong
    assert says in error.message
    assert isinstance(error, WrongUsage)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("text", "wrong", "says"),
    [
        ("state:activ", "activ", "did you mean active?"),
        ("status:failed", "status", "a key for orders, not for users"),
        ("is:late", "is", "a key for orders, not for users"),
        ("stat:active", "stat", "did you mean state:?"),
        ("name:Duong", "name", "write user:"),
        ("id:K1", "id", "write user:"),
        ("expires:<12h", "<12h", "count in days or weeks"),
        ("kind:resident", "resident", "one of user, property_manager, family"),
        ("order:opne", "opne", "did you mean open?"),
    ],
)
def test_a_wrong_filter_of_users_says_where_and_what_would_be_right(text: str, wrong: str, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_users(text)
    assert text[caught.value.start : caught.value.end] == wrong
    assert says in caught.value.message


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters='":,\\'), min_size=1, max_size=9))
def test_an_unknown_key_or_value_never_passes(word: str) -> None:
    if word.lower() not in ORDER_KEYS and not word.startswith("-"):
        with pytest.raises(FilterError, match="key"):
            parse_orders(f"{word}:1")
    for key in ORDER_KEYS.values():
        if (
            key.takes is not Takes.TEXT
            and word.lower() not in key.words
            and not re.search("[0-9]|^(to|yester)day$", word)
        ):
            with pytest.raises(FilterError):
                parse_orders(f"{key.name}:{word}{word}{word}{word}")


def test_a_shown_word_is_cut_and_harmless() -> None:
    with pytest.raises(FilterError) as caught:
        parse_orders("status:" + "\x1b[2J\u202e" * 100)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "make",
    [
        lambda: Text(()),
        lambda: Text(("",)),
        lambda: Text(("a", "", "b")),
        lambda: Text(("a\0",)),
        lambda: Currency("XXX"),
        lambda: Period(2026, None, 3),
        lambda: Period(2026, 2, 29),
        lambda: Duration(-1, "d"),
        lambda: Duration(1, "y"),
        lambda: Days(None, None),
        lambda: Days(Period(2026), Period(2027), strict=True),
        lambda: Numbers(-1, None),
        lambda: Numbers(None, 10**18),
        lambda: Moment(datetime(2026, 1, 1), "UTC"),  # noqa: DTZ001
        lambda: Filter("orders", (Term("state", (Text.exact("a"),)),)),
        lambda: Filter("orders", (Term("status", ()),)),
        lambda: Filter("orders", (Term("status", (Text.exact("failed"),)),)),
        lambda: Filter("orders", (Term("status", (Choice(OrderType.ACTIVATION),)),)),
        lambda: Filter("users", (Term("service", (Choice(OrderType.ADDITIONAL_APP),)),)),
        lambda: Filter("users", (Term("expires", (Durations(Duration(1, "h"), None),)),)),
    ],
)
def test_a_value_that_could_not_be_read_cannot_be_made(make: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        make()


# --- Filters as values


def test_a_filter_is_narrowed_and_widened_by_term() -> None:
    chosen = parse_orders("status:failed -status:cancel 0001")
    assert chosen.with_term("office:Oak").describe() == "status:failed -status:cancel 0001 office:Oak"
    assert chosen.with_term(Term("is", (Choice(OrderMark.DUE),))).describe().endswith(" is:due")
    assert chosen.without_key("status").describe() == "0001"
    assert chosen.without_key(BARE).describe() == "status:failed -status:cancel"
    assert chosen.describe() == "status:failed -status:cancel 0001"
    assert len({chosen, parse_orders(chosen.describe())}) == 1


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("000123", "000123"),
        ("status:failed 000123", "000123"),
        ('"000123"', "000123"),
        ("", None),
        ("-000123", None),
        ("000123,4", None),
        ("000123 4", None),
        ("000123*", None),
        ("A123", None),
        ("١٢", None),
        ("total:12", None),
    ],
)
def test_digits_alone_are_a_prefix_to_look_up(text: str, digits: str | None) -> None:
    assert parse_orders(text).number_prefix == digits


@pytest.mark.parametrize(
    ("text", "includes"),
    [
        ("", False),
        ("is:late", False),
        ("is:deleted", True),
        ("-is:deleted", False),
        ("is:late,deleted", True),
        ("is:unknown", True),
        ("is:late is:unapplied", True),
        ("is:problem", True),
        ("-is:problem", False),
        ("is:stuck,due,retry", False),
    ],
)
def test_hidden_orders_are_left_out_unless_asked_for(text: str, includes: bool) -> None:
    assert parse_orders(text).includes_deleted == includes


def test_removed_users_are_left_out_unless_asked_for() -> None:
    assert not parse_users("state:expired").includes_deleted
    assert not parse_users("-state:removed").includes_deleted
    assert parse_users("state:expired,removed").includes_deleted


# --- What it means: orders


def order(**changes: Any) -> OrderFacts:
    facts: dict[str, Any] = {
        "number": "20261122093117000123",
        "type": OrderType.SUBSCRIPTION,
        "status": OrderStatus.PROCESSING,
        "status_since": NOW,
        "office": "Oak Hill",
        "apartments": 3,
        "currency": "EUR",
        "total": 4284,
        "until": None,
        "created_at": NOW,
        "created_by": "alice",
        "pay_by": NOW + timedelta(hours=24),
        "paid_at": None,
        "late": False,
        "history": False,
        "deleted": False,
        "replaced": False,
        "people": (
            PersonFacts(id="K1001", name="Duong Bui", department="Sales"),
            PersonFacts(id="K1002", name="Al Laffi", department="Building 7"),
        ),
        "payments": (),
    }
    return OrderFacts(**(facts | changes))


def means(text: str, moment: Moment = MOMENT, **changes: Any) -> bool:
    return matches_order(parse_orders(text), order(**changes), moment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "status:processing",
        "status:failed,processing",
        "-status:failed",
        "type:subscription",
        'office:"oak hill"',
        "office:OAK*",
        'office:*ill,"Elm"',
        "office:*k*h*",
        "department:sales",
        "department:b*7",
        "user:k1001",
        'user:"duong bui"',
        "user:*LAFFI",
        "by:ALICE",
        "currency:eur",
        "apartments:3",
        "apartments:2..3",
        "apartments:<4",
        "total:42.84",
        "total:..42.84",
        "total:>42.83",
        "000123",
        "2026*123",
        "*123",
        "-999",
        "999,123",
        "-provider:stripe",
        "created:today",
        "created:2026",
        "created:2026-11-22..",
        "payby:<25h",
        "-paid:2026",
        "-is:problem",
        "-is:daily",
        "-is:deleted",
    ],
)
def test_a_filter_that_means_the_order(text: str) -> None:
    assert means(text)
    if text:
        assert not means(text.removeprefix("-") if text.startswith("-") else f"-{text}")


@pytest.mark.parametrize(
    "text",
    [
        "status:failed",
        "-status:processing,failed",
        "status:processing type:activation",
        "office:oak",
        "office:hill",
        "office:oak*oak",
        'office:"oak\\*"',
        "department:sale",
        "user:K100",
        "user:sales",
        "by:bob",
        "currency:USD",
        "apartments:>3",
        "total:42",
        "total:>42.84",
        "000124",
        "paid:2026",
        "provider:manual,bank,stripe",
    ],
)
def test_a_filter_that_does_not_mean_the_order(text: str) -> None:
    assert not means(text)


@pytest.mark.parametrize(
    ("pattern", "name", "alike"),
    [
        ("straße", "STRASSE", True),
        ("STRASSE", "Straße", True),
        ("str*e", "Straße", True),
        ("istanbul", "ISTANBUL", True),
        ("istanbul", "İstanbul", False),  # its i has a dot above of its own
        ("i*stanbul", "İstanbul", True),
        ("ıssız", "ISSIZ", False),
        ("é", "e\u0301", True),
        ("E\u0301*", "école", True),
        ("e*", "école", False),
        ("ab*bc", "abc", False),
        ("ab*bc", "abbc", True),
        ("a*b*a", "aba", True),
        ("a*b*ba", "aba", False),
        ("100%", "100%", True),
        ("100%", "1000", False),
        ("a_c", "abc", False),
        ("a?c", "abc", False),
        ("[ab]*", "abc", False),
    ],
)
def test_text_is_compared_folded_and_whole(pattern: str, name: str, alike: bool) -> None:
    assert means(f"office:{pattern}", office=name) == alike


@pytest.mark.parametrize(
    ("word", "number", "found"),
    [
        ("ab", "x-AB-1", True),
        ("AB", "x-ab-1", True),
        ("é", "xé1", True),
        ("É", "xé1", False),  # only ASCII letters: both engines agree on these
        ("%", "x%1", True),
        ("%", "x1", False),
        ("_", "x1", False),
        ("1*x", "x1", False),
        ("x*1", "x1", True),
    ],
)
def test_a_bare_word_is_any_part_of_the_number(word: str, number: str, found: bool) -> None:
    assert means(word, number=number) == found


@settings(max_examples=3 * EXAMPLES)
@given(patterns(), texts | st.lists(texts, min_size=2, max_size=3).map("".join), st.booleans())
def test_a_pattern_is_what_a_regular_expression_says(pattern: Text, text: str, part: bool) -> None:
    pieces = anywhere(pattern.pieces) if part else pattern.pieces
    expression = ".*".join(re.escape(folded(piece)) for piece in pattern.pieces)
    if part:
        expression = f".*{expression}.*"
    assert pieces_match(pieces, text, folded) == bool(re.fullmatch(expression, folded(text), re.DOTALL))
    if part:
        glued = "a" + "b".join(pattern.pieces) + "c"
        assert pieces_match(pieces, glued, str)


@pytest.mark.parametrize(
    ("text", "currency", "total", "found"),
    [
        ("total:0.5", "JPY", 0, False),
        ("total:0.5", "JPY", 1, False),
        ("total:>0.5", "JPY", 1, True),
        ("total:>0.5", "JPY", 0, False),
        ("total:<0.5", "JPY", 0, True),
        ("total:<0.5", "JPY", 1, False),
        ("total:0.5..1.5", "JPY", 1, True),
        ("total:100", "JPY", 100, True),
        ("total:100", "EUR", 10_000, True),
        ("total:100", "KWD", 100_000, True),
        ("total:100", "CLF", 1_000_000, True),
        ("total:100", "EUR", 100, False),
        ("total:0.001", "EUR", 0, False),
        ("total:<0.001", "EUR", 0, True),
        ("total:>99.999", "EUR", 10_000, True),
        ("total:>99.999", "EUR", 9_999, False),
        ("total:>100", "EUR", 10_000, False),
        ("total:<0", "EUR", 0, False),
    ],
)
def test_totals_are_in_major_units_of_each_currency(text: str, currency: str, total: int, found: bool) -> None:
    assert means(text, currency=currency, total=total) == found


@settings(max_examples=3 * EXAMPLES)
@given(
    ranges(Numbers, st.integers(0, 40_000) | st.integers(0, 400).map(lambda each: each * 100)),
    st.integers(0, 50_000),
    st.sampled_from(["JPY", "EUR", "KWD", "CLF"]),
)
def test_totals_are_compared_without_rounding(numbers: Numbers, total: int, currency: str) -> None:
    major = Decimal(total).scaleb(-DECIMALS[currency])
    low, high = (None if end is None else Decimal(end).scaleb(-4) for end in (numbers.low, numbers.high))
    expected = (low is None or (major > low if numbers.strict else major >= low)) and (
        high is None or (major < high if numbers.strict else major <= high)
    )
    chosen = Filter("orders", (Term("total", (numbers,)),))
    assert matches_order(chosen, order(currency=currency, total=total), MOMENT) == expected


SECOND: Final = timedelta(seconds=1)
DAY: Final = timedelta(days=1)
TINY: Final = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("created:<7d", [NOW, NOW - 7 * DAY + TINY, NOW + SECOND], [NOW - 7 * DAY]),
        ("created:<=7d", [NOW - 7 * DAY], [NOW - 7 * DAY - TINY]),
        ("created:>7d", [NOW - 7 * DAY - TINY], [NOW - 7 * DAY, NOW]),
        ("created:>=7d", [NOW - 7 * DAY], [NOW - 7 * DAY + TINY]),
        ("created:1d..7d", [NOW - DAY, NOW - 7 * DAY], [NOW - DAY + TINY, NOW - 7 * DAY - TINY]),
        ("created:..90m", [NOW - timedelta(minutes=90)], [NOW - timedelta(minutes=90) - TINY]),
        ("created:2w..", [NOW - 14 * DAY], [NOW - 14 * DAY + TINY]),
        # in Berlin, an hour before UTC
        (
            "created:today",
            [datetime(2026, 11, 21, 23, tzinfo=UTC), datetime(2026, 11, 22, 23, tzinfo=UTC) - TINY],
            [datetime(2026, 11, 21, 23, tzinfo=UTC) - TINY, datetime(2026, 11, 22, 23, tzinfo=UTC)],
        ),
        ("created:yesterday", [NOW - DAY], [NOW, NOW - 2 * DAY]),
        ("created:>yesterday", [NOW], [NOW - DAY]),
        ("created:<today", [NOW - DAY], [NOW]),
        (
            "created:2026-11-01..2026-11-15",
            [datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 15, 23, tzinfo=UTC) - TINY],
            [datetime(2026, 10, 31, 23, tzinfo=UTC) - TINY, datetime(2026, 11, 15, 23, tzinfo=UTC)],
        ),
        # both months whole, and summer time ends in between
        (
            "created:2026-10..2026-11",
            [datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC) - TINY],
            [datetime(2026, 9, 30, 22, tzinfo=UTC) - TINY, datetime(2026, 11, 30, 23, tzinfo=UTC)],
        ),
        ("created:>2026-10", [datetime(2026, 10, 31, 23, tzinfo=UTC)], [datetime(2026, 10, 31, 23, tzinfo=UTC) - TINY]),
        ("created:<2026-11", [datetime(2026, 10, 31, 23, tzinfo=UTC) - TINY], [datetime(2026, 10, 31, 23, tzinfo=UTC)]),
        ("created:0001..9999", [NOW], []),
        ("created:>9999", [], [NOW]),
        ("created:<0001", [], [NOW]),
    ],
)
def test_created_and_paid_are_days_or_ages(text: str, inside: list[datetime], outside: list[datetime]) -> None:
    for instant in inside:
        assert means(text, created_at=instant), instant
        assert means(text.replace("created", "paid"), paid_at=instant), instant
    for instant in outside:
        assert not means(text, created_at=instant), instant
    assert not means(text.replace("created", "paid"), paid_at=None)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("payby:<2h", [NOW + TINY, NOW + timedelta(hours=2) - TINY], [NOW, NOW - TINY, NOW + timedelta(hours=2)]),
        ("payby:<=2h", [NOW + TINY, NOW + timedelta(hours=2)], [NOW, NOW + timedelta(hours=2) + TINY]),
        ("payby:..2h", [NOW + timedelta(hours=2)], [NOW]),
        ("payby:>2h", [NOW + timedelta(hours=2) + TINY], [NOW + timedelta(hours=2), NOW]),
        ("payby:2h..3h", [NOW + timedelta(hours=2), NOW + timedelta(hours=3)], [NOW + timedelta(hours=3) + TINY]),
        ("payby:today", [NOW - SECOND, NOW + SECOND], [NOW + DAY]),
        ("payby:<today", [NOW - DAY], [NOW]),
    ],
)
def test_payby_is_a_day_or_a_time_from_now(text: str, inside: list[datetime], outside: list[datetime]) -> None:
    for instant in inside:
        assert means(text, pay_by=instant), instant
    for instant in outside:
        assert not means(text, pay_by=instant), instant
    assert not means(text, pay_by=None)


@pytest.mark.parametrize(
    ("day", "timezone", "start"),
    [
        (date(2026, 11, 22), "UTC", datetime(2026, 11, 22, tzinfo=UTC)),
        (date(2026, 11, 22), "Asia/Tokyo", datetime(2026, 11, 21, 15, tzinfo=UTC)),
        (date(2018, 11, 4), "America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),  # begins at 01:00
        (date(2026, 11, 1), "America/Havana", datetime(2026, 11, 1, 4, tzinfo=UTC)),  # 00:00 to 01:00 comes twice
        (date(2011, 12, 30), "Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),  # was left out
        (date(2011, 12, 31), "Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
        (date(2006, 10, 29), "America/St_Johns", datetime(2006, 10, 29, 2, 30, tzinfo=UTC)),  # back at 00:01
        (date(1919, 3, 31), "America/Toronto", datetime(1919, 3, 31, 4, 30, tzinfo=UTC)),  # 23:30 to 00:30
    ],
)
def test_a_day_begins_with_its_first_instant(day: date, timezone: str, start: datetime) -> None:
    assert day_start(day, timezone) == start


ZONES: Final = [
    "Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Havana", "America/Sao_Paulo", "America/St_Johns",
    "America/Toronto", "Asia/Amman", "Asia/Beirut", "Asia/Kathmandu", "Asia/Manila", "Asia/Tehran", "Atlantic/Azores",
    "Australia/Lord_Howe", "Europe/Berlin", "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Kwajalein", "UTC",
]  # fmt: skip


@settings(max_examples=3 * EXAMPLES)
@given(st.dates(date(1900, 1, 1), date(2037, 12, 31)), st.sampled_from(ZONES), st.timedeltas(TINY, 3 * DAY))
@example(date(1919, 3, 31), "America/Toronto", TINY)
@example(date(1993, 8, 21), "Pacific/Kwajalein", TINY)
def test_before_its_start_no_instant_is_of_the_day_or_later(day: date, timezone: str, before: timedelta) -> None:
    start = day_start(day, timezone)
    assert local_date(start, timezone) >= day
    for step in (TINY, SECOND, timedelta(minutes=59), before):
        assert local_date(start - step, timezone) < day


@given(st.datetimes(datetime(2012, 1, 1), datetime(2037, 1, 1)), st.sampled_from(ZONES))  # noqa: DTZ001
def test_every_instant_is_found_by_its_local_day(instant: datetime, timezone: str) -> None:
    aware, moment = instant.replace(tzinfo=UTC), replace(MOMENT, timezone=timezone)
    day = local_date(aware, timezone)
    for offset in (-1, 0, 1):
        assert means(f"created:{day + offset * DAY}", moment, created_at=aware) == (offset == 0)


@pytest.mark.parametrize("edge", ["0001", "0001-01-01", "9999", "9999-12", "9999-12-31"])
@pytest.mark.parametrize("timezone", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
def test_the_first_and_last_days_of_the_calendar_are_no_trap(edge: str, timezone: str) -> None:
    for form in ("{}", "{}..", "..{}", ">{}", "<{}"):
        (term,) = parse_orders(f"created:{form.format(edge)}").terms
        value = term.values[0]
        assert isinstance(value, Days)
        instant_span("created", value, Moment(NOW, timezone))
        assert isinstance(user_means(f"expires:{form.format(edge)}", expires_on=date(2026, 1, 1)), bool)


PAID: Final = PaymentFacts(provider=ProviderName.STRIPE, state=PaymentState.SUCCEEDED, applied=True)


def payment(state: PaymentState) -> PaymentFacts:
    return PaymentFacts(provider=ProviderName.BANK, state=state)


UNDER_WAY: Final[dict[str, Any]] = {"status": OrderStatus.SYSTEM_PROCESSING, "status_since": NOW}
FAILED: Final[dict[str, Any]] = {"status": OrderStatus.FAILED, "status_since": NOW}
HOUR: Final = timedelta(hours=1)


@pytest.mark.parametrize(
    ("mark", "facts", "holds"),
    [
        ("unknown", UNDER_WAY, True),  # imported: no payment to ask about
        ("unknown", UNDER_WAY | {"payments": (payment(PaymentState.UNKNOWN),)}, True),
        ("unknown", UNDER_WAY | {"payments": (payment(PaymentState.CREATED),)}, True),
        ("unknown", UNDER_WAY | {"payments": (payment(PaymentState.DECLINED), payment(PaymentState.UNKNOWN))}, True),
        ("unknown", UNDER_WAY | {"payments": (payment(PaymentState.PENDING),)}, False),
        ("unknown", UNDER_WAY | {"payments": (payment(PaymentState.SENT),)}, False),
        ("unknown", UNDER_WAY | {"payments": (payment(PaymentState.DECLINED),)}, False),
        ("unknown", {"payments": (payment(PaymentState.UNKNOWN),)}, False),
        ("unapplied", {"payments": (payment(PaymentState.SUCCEEDED),)}, True),
        ("unapplied", {"payments": (PAID, payment(PaymentState.SUCCEEDED))}, True),
        ("unapplied", {"payments": (PAID, payment(PaymentState.REFUNDED))}, False),
        ("late", {"late": True}, True),
        ("late", {}, False),
        ("stuck", UNDER_WAY | {"status_since": NOW - HOUR - TINY}, True),
        ("stuck", UNDER_WAY | {"status_since": NOW - HOUR}, False),
        ("stuck", {"status_since": NOW - DAY}, False),
        ("due", {"pay_by": NOW}, True),
        ("due", {"pay_by": NOW + TINY}, False),
        ("due", {"pay_by": NOW, "payments": (payment(PaymentState.SENT),)}, False),
        ("due", {"pay_by": NOW, "payments": (payment(PaymentState.EXPIRED),)}, True),
        ("due", {"pay_by": NOW, "status": OrderStatus.FAILED}, False),
        ("retry", FAILED, True),
        ("retry", FAILED | {"status_since": NOW - 30 * DAY}, True),
        ("retry", FAILED | {"status_since": NOW - 30 * DAY - TINY}, False),
        ("retry", FAILED | {"history": True}, False),
        ("retry", FAILED | {"replaced": True}, False),
        ("retry", {"status": OrderStatus.TIME_OUT}, False),
        ("daily", {"until": date(2027, 1, 1)}, True),
        ("daily", {}, False),
        ("problem", {"late": True, "until": date(2027, 1, 1)}, False),
        ("problem", FAILED, True),
        ("problem", {"pay_by": NOW}, True),
        ("problem", UNDER_WAY | {"status_since": NOW - DAY, "payments": (payment(PaymentState.PENDING),)}, True),
    ],
)
def test_marks(mark: str, facts: dict[str, Any], holds: bool) -> None:
    assert means(f"is:{mark}", **facts) == holds
    assert means(f"-is:{mark}", **facts) != holds
    if holds and mark in ("unknown", "unapplied", "stuck", "due", "retry"):
        assert means("is:problem", **facts)


@pytest.mark.parametrize(
    ("text", "facts", "shown"),
    [
        ("", {}, False),
        ("status:failed", FAILED, False),
        ("-is:deleted", {}, False),
        ("is:deleted", {}, True),
        ("is:deleted status:failed", FAILED, True),
        ("is:deleted status:cancel", FAILED, False),
        ("is:retry", FAILED, False),
        ("is:problem", FAILED, False),
        ("is:retry,unapplied", FAILED, False),
        ("is:retry is:deleted", FAILED, True),
        ("is:late,deleted", {}, True),
        ("is:unapplied", {"payments": (payment(PaymentState.SUCCEEDED),)}, True),
        ("is:problem", {"payments": (payment(PaymentState.SUCCEEDED),)}, True),
        ("is:unapplied -is:deleted", {"payments": (payment(PaymentState.SUCCEEDED),)}, False),
        ("-is:problem", FAILED, False),
    ],
)
def test_a_hidden_order_is_seen_only_where_it_is_asked_for(text: str, facts: dict[str, Any], shown: bool) -> None:
    assert means(text, **facts, deleted=True) == shown


def test_only_hidden_orders_are_deleted() -> None:
    assert not means("is:deleted")


# --- What it means: users

TODAY: Final = date(2026, 11, 22)


def user_means(text: str, moment: Moment = MOMENT, **changes: Any) -> bool:
    facts: dict[str, Any] = {
        "id": "K1001",
        "name": "Duong Bui",
        "office": "Oak Hill",
        "timezone": "Europe/Berlin",
        "department": "Sales",
        "kind": UserKind.USER,
        "service": Service.APP,
        "apartment": "12A",
        "activated_on": None,
        "expires_on": None,
        "removed_on": None,
        "held": False,
    }
    return matches_user(parse_users(text), UserFacts(**(facts | changes)), moment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "office:oak*",
        "department:SALES",
        "kind:user",
        "service:app",
        "apartment:12a",
        "apartment:*A",
        "order:none",
        "user:k1001",
        'user:"duong bui"',
        "duong",
        "BUI",
        "1001",
        "d*bui",
        "state:inactive",
        "-expires:2026",
    ],
)
def test_a_filter_that_means_the_user(text: str) -> None:
    assert user_means(text)


@pytest.mark.parametrize(
    "text",
    [
        "office:oak",
        "kind:family",
        "service:pm_app",
        "apartment:12",
        "order:open",
        "user:duong",
        "xyz",
        "sales",
        "-duong",
        "state:active",
        "expires:..9999",
    ],
)
def test_a_filter_that_does_not_mean_the_user(text: str) -> None:
    assert not user_means(text)


def test_a_user_without_apartment_has_none_that_matches() -> None:
    assert user_means("apartment:*")
    assert not user_means("apartment:*", apartment=None)
    assert user_means("-apartment:*", apartment=None)


@pytest.mark.parametrize(
    ("expires_on", "state"),
    [
        (None, "inactive"),
        (TODAY - DAY, "expired"),
        (TODAY, "expiring"),
        (TODAY + 29 * DAY, "expiring"),
        (TODAY + 30 * DAY, "active"),
    ],
)
def test_a_user_is_in_one_state(expires_on: date | None, state: str) -> None:
    states = ["inactive", "active", "expiring", "expired", "removed"]
    assert [each for each in states if user_means(f"state:{each}", expires_on=expires_on)] == [state]
    removed: dict[str, Any] = {"expires_on": expires_on, "removed_on": TODAY}
    assert [each for each in states if user_means(f"state:{each}", **removed)] == ["removed"]
    assert user_means(f"state:{state},removed", **removed)
    assert not user_means("", **removed)
    assert not user_means("-state:removed", **removed)
    assert user_means("expires:<30d", expires_on=expires_on) == (state == "expiring")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("expires:<30d", 0, 29),
        ("expires:<=30d", 0, 30),
        ("expires:..30d", 0, 30),
        ("expires:8d..30d", 8, 30),
        ("expires:2w", 14, 14),
        ("expires:0d", 0, 0),
        ("expires:today", 0, 0),
        ("expires:>30d", 31, 40),
        ("expires:30d..", 30, 40),
        ("expires:2026-11", -3, 8),
        ("expires:<today", -3, -1),
        ("expires:yesterday..2026-11-25", -1, 3),
        ("expires:<0d", 1, 0),
    ],
)
def test_expires_counts_days_from_today(text: str, first: int, last: int) -> None:
    found = [days for days in range(-3, 41) if user_means(text, expires_on=TODAY + days * DAY)]
    assert found == list(range(first, last + 1))
    assert not user_means(text, expires_on=None)


def test_today_is_that_of_the_office() -> None:
    late = Moment(datetime(2026, 11, 22, 10, 30, tzinfo=UTC), "UTC")
    today_in = {"Pacific/Kiritimati": date(2026, 11, 23), "UTC": date(2026, 11, 22), "Pacific/Niue": date(2026, 11, 21)}
    for timezone, today in today_in.items():
        for state, expires_on in (("expired", today - DAY), ("expiring", today), ("active", today + 30 * DAY)):
            assert user_means(f"state:{state}", late, expires_on=expires_on, timezone=timezone)
        assert user_means("expires:today", late, expires_on=today, timezone=timezone)


def test_an_open_order_holds_a_user() -> None:
    assert user_means("order:open", held=True)
    assert not user_means("order:none", held=True)
    assert user_means("order:open,none", held=True)
