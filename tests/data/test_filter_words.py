"""What can be typed next in a filter: every completion leads on to a filter, and what is only begun is no error yet."""

from __future__ import annotations

from datetime import date
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smartsub_tui.data.filter_words import complete, waits
from smartsub_tui.data.filters import KEYS, Filter, FilterError, Subject, parse
from tests.data.test_filters import SYNTAX, both

NAMES: Final = {"office": ("Oak House", "Oakwood", "Elm, Court", 'The "Old" Mill', "a*b"), "by": ("alice", "bob")}
TODAY: Final = date(2026, 11, 22)


def at(text: str) -> tuple[str, int]:
    """The text without the | in it, and where it stood; at the end, where there is none."""
    return (text.replace("|", ""), text.index("|")) if "|" in text else (text, len(text))


def each(before: str, *words: str) -> list[str]:
    return [before + word for word in words]


def offered(text: str, subject: Subject = "orders") -> list[str]:
    """What the text becomes with each completion, the cursor shown by |."""
    text, cursor = at(text)
    found = complete(text, cursor, subject, names=NAMES, today=TODAY)
    if found is None:
        return []
    taken = [found.take(text, place) for place in range(len(found.offers))]
    return [f"{text[:cursor]}|{text[cursor:]}".removesuffix("|") for text, cursor in taken]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("sta", ["status:"]),
        ("-sta", ["-status:"]),
        ("is:late STA", ["is:late status:"]),
        ("st|a total:>1", ["status:| total:>1"]),
        ("p", ["paid:", "payby:", "provider:"]),
        ("p|aid:<7d", ["payby:|<7d"]),
        ("sta|ts:failed", ["status:|failed"]),
        ("status:failed,ti", ["status:failed,timeout"]),
        ("status:failed,", each("status:failed,", "processing", "system", "succeed", "timeout", "cancel")),
        ("status:f|,timeout", ["status:failed|,timeout"]),
        ("status:fa| is:late", ["status:failed| is:late"]),
        ("status:fai|xx", ["status:failed"]),
        ('status:"fa', ["status:failed"]),
        ("status:time_", ["status:time_out"]),
        ("-type:ac", ["-type:activation"]),
        ("currency:eu", ["currency:EUR"]),
        ("provider:", ["provider:manual", "provider:bank", "provider:stripe"]),
        # names come in quotes where they need them, and are found by any of their words
        ("office:oak", ['office:"Oak House"', "office:Oakwood"]),
        ("office:hou", ['office:"Oak House"']),
        ('office:"Oak H', ['office:"Oak House"']),
        ('office:"Oak H| is:late', ['office:"Oak House"| is:late']),
        ('office:"Oak| by:"bob"', ['office:"Oak House"| by:"bob"', 'office:Oakwood| by:"bob"']),
        ('office:"Oak| House"', ["office:Oakwood"]),
        ("office:Oakwood,elm", ['office:Oakwood,"Elm, Court"']),
        ("office:the", ['office:"The \\"Old\\" Mill"']),
        ('office:"the \\"o', ['office:"The \\"Old\\" Mill"']),
        ("by:", ["by:alice", "by:bob"]),
        # days and durations
        ("created:", each("created:", "<7d", "today", "yesterday", "2026-11", "2026-10", "2026-11-22")),
        ("created:<3", ["created:<3d", "created:<3w", "created:<3h", "created:<3m"]),
        ("created:2026-1", ["created:2026-11", "created:2026-10", "created:2026-11-22"]),
        ("created:2026-11-01..y", ["created:2026-11-01..yesterday"]),
        ("payby:t", ["payby:today"]),
        ("apartments:", ["apartments:1", "apartments:2..10", "apartments:>5"]),
    ],
)
def test_what_goes_on_from_what_is_typed(text: str, becomes: list[str]) -> None:
    assert offered(text) == becomes


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("st", ["state:"]),
        ("state:re", ["state:removed"]),
        ("expires:3", ["expires:3d", "expires:3w"]),
        ("expires:8d..3", ["expires:8d..3w"]),
        ("order:", ["order:open", "order:none"]),
    ],
)
def test_users_have_their_own_words(text: str, becomes: list[str]) -> None:
    assert offered(text, "users") == becomes


@pytest.mark.parametrize(
    "text",
    ["status:failed", "nonsense:", "nonsense:fa", "0042", "|status:failed", "a |b", "xx,st", "office:Oak*", "total:>1"],
)
def test_nothing_is_offered_where_nothing_goes_on(text: str) -> None:
    assert offered(text) == []


def test_at_a_new_word_the_keys_that_are_not_there_yet_are_offered() -> None:
    others = [f"{key}:" for key in KEYS["orders"] if key != "type"]
    assert offered("") == [f"{key}:" for key in KEYS["orders"]]
    assert offered("type:activation |") == [f"type:activation {key}" for key in others]
    assert offered("type:activation  | is:late") == [
        f"type:activation  {key}| is:late" for key in others if key != "is:"
    ]


def test_what_cannot_be_listed_is_said() -> None:
    found = complete("user:", 5, "orders", names=NAMES)
    assert found is not None
    assert found.offers == ()
    assert found.hint == 'id or name of a user: K1001, "Duong*"'
    assert complete("user:K", 6, "orders", names=NAMES) is None


@pytest.mark.parametrize(
    ("text", "rests"),
    [
        ("sta", ["tus:"]),
        ("status:FA", ["iled"]),
        ("office:oak", [" House", "wood"]),
        ('office:"Oak H', ["ouse"]),
        ("office:hou", [""]),
    ],
)
def test_what_is_not_typed_yet_can_be_shown_behind_the_cursor(text: str, rests: list[str]) -> None:
    found = complete(text, len(text), "orders", names=NAMES)
    assert found is not None
    assert [offer.rest for offer in found.offers] == rests


def right(text: str, subject: Subject) -> bool:
    try:
        parse(subject, text)
    except FilterError:
        return False
    return True


def leads_on(text: str, cursor: int, subject: Subject) -> bool:
    """Whether the text is a filter, or one but for what is begun at the cursor."""
    rest = waits(text, cursor, subject, names=NAMES)
    return right(text if rest is None else rest, subject)


@given(both.filter(lambda chosen: chosen.terms), st.data())
def test_every_completion_leads_on_and_changes_no_other_word(chosen: Filter, data: st.DataObject) -> None:
    """One word of a filter is cut off somewhere; whatever is taken there, a filter can come of it."""
    terms = [term.describe() for term in chosen.terms]
    place = data.draw(st.integers(0, len(terms) - 1))
    cut = terms[place][: data.draw(st.integers(0, len(terms[place])))]
    # A quote that is open may be closed by one of a word behind it, which then is none.
    others = [term for term in terms[place + 1 :] if '"' not in cut or '"' not in term]
    before, behind = " ".join([*terms[:place], ""]), " ".join(["", *others])
    text, cursor = before + cut + behind, len(before + cut)
    found = complete(text, cursor, chosen.subject, names=NAMES, today=TODAY)
    for taken, there in [found.take(text, offer) for offer in range(len(found.offers))] if found is not None else []:
        assert taken.startswith(before)
        assert taken.endswith(behind)
        assert len(before) < there <= len(taken) - len(behind)
        assert taken != text
        assert leads_on(taken, there, chosen.subject), taken


@given(both)
def test_a_filter_that_is_typed_is_never_wrong_on_its_way(chosen: Filter) -> None:
    text = chosen.describe()
    for cursor in range(len(text) + 1):
        assert leads_on(text[:cursor], cursor, chosen.subject), text[:cursor]


@given(st.lists(st.sampled_from(SYNTAX), max_size=12).map("".join), st.integers(0, 40), st.sampled_from(list(KEYS)))
@example('office:"a\\', 10, "orders")
def test_any_text_with_any_cursor_is_taken(text: str, cursor: int, subject: Subject) -> None:
    cursor = min(cursor, len(text))
    found = complete(text, cursor, subject, names=NAMES, today=TODAY)
    if found is not None:
        assert found.start <= cursor <= found.end
        for place in range(len(found.offers)):
            found.take(text, place)
    rest = waits(text, cursor, subject, names=NAMES)
    if rest is not None:
        assert len(rest) == len(text)
        assert all(new in (old, " ") for old, new in zip(text, rest, strict=True))


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("status:fai", "          "),
        ("status:failed,ti", "status:failed   "),
        ("status:xx,fai", "status:xx    "),
        ("statsu:x -", "statsu:x  "),
        ("status:fai| is:late", "           is:late"),
        ("status:fai|,failed", "                 "),
        ("created:2026-02-3", "                 "),
        ("created:7d", "          "),
        ("total:1.", "        "),
        ('office:"Oak', "           "),
        ("office:oa", "         "),
        ("sta", "   "),
        ("is:late,,", "is:late, "),
    ],
)
def test_what_is_only_begun_is_left_out(text: str, rest: str) -> None:
    assert waits(*at(text), "orders", names=NAMES) == rest


@pytest.mark.parametrize(
    "text",
    [
        "status:faild", "status:fai |", "status:f|ai", "nonsense:", "status:failed", "created:2026-02-30",
        "created:2026-13", "created:<7x", "total:x", "total:1..2..", "office:x", "office:Oakwood",
        "office:oa*", 'office:"Oak"s', "0042",
        "--", "currency:EURO", "apartments:1.5",
    ],
)  # fmt: skip
def test_what_is_whole_or_wrong_does_not_wait(text: str) -> None:
    assert waits(*at(text), "orders", names=NAMES) is None


def test_a_name_of_a_user_is_looked_for_at_once() -> None:
    assert waits("sta", 3, "users") is None
