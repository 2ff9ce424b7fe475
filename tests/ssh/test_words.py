"""What is said behind `ssh HOST`, read without a shell; what of an environment goes on; which key sshd names."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smartsub_tui.errors import NotAllowed
from smartsub_tui.ssh_login import PATH, READS, clean, words_of
from tests.ssh.test_ways_out import COMMANDS, HOSTILE


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, ()),
        ("", ()),
        ("  ", ()),
        ("--version", ("--version",)),
        ("--help", ("--help",)),
        ("offices", ("offices", "--")),
        ("offices --json", ("offices", "--json", "--")),
        ("--json offices", ("--json", "offices", "--")),
        ("order 0042 --help", ("order", "--help", "--", "0042")),
        ("orders --limit 5 --sort=-total", ("orders", "--limit=5", "--sort=-total", "--")),
        ("orders --view=", ("orders", "--view=", "--")),
        ("orders status:failed total:>100 created:<7d", ("orders", "--", "status:failed", "total:>100", "created:<7d")),
        ("orders 'office:\"A & B; $(c)\"'", ("orders", "--", 'office:"A & B; $(c)"')),
        ("users office:Oak\\ House", ("users", "--", "office:Oak House")),
        ("users -- -state:active --json", ("users", "--", "-state:active", "--json")),
        ("users \u00d8stbane # 7", ("users", "--", "\u00d8stbane", "#", "7")),
        ("export --format jsonl users state:active", ("export", "--format=jsonl", "--", "users", "state:active")),
    ],
)
def test_a_command_that_reads_becomes_arguments(said: str | None, words: tuple[str, ...]) -> None:
    assert words_of(said) == words


@pytest.mark.parametrize(
    "said", [*COMMANDS, "orders \udcff", "orders \u202e", "orders --limit", "order 1 2", "order -- 1 2"]
)
def test_every_other_is_refused(said: str) -> None:
    with pytest.raises(NotAllowed, match="over SSH the commands are offices, users, orders, order and export, with"):
        words_of(said)


_WORDS = st.sampled_from(
    [*READS, "--json", "--limit", "--limit=3", "--", "-o", "--admin", "--profile=open", "a", "'b c'", "'", "$x"]
)


@given(st.text() | st.lists(_WORDS).map(" ".join))
@example("orders -- --admin x --")
def test_whatever_is_said_becomes_a_command_that_reads_or_nothing(said: str) -> None:
    try:
        words = words_of(said)
    except NotAllowed:
        return
    if len(words) < 2:
        assert words in ((), ("--version",), ("--help",))
        return
    assert "--" in words
    options = list(words[: words.index("--")])
    if options[0] == "--json":
        del options[0]
    command = READS[options.pop(0)]
    allowed = {"--json", "--help", *command.options}
    assert {option.partition("=")[0] for option in options} <= allowed
    assert all("=" in option for option in options if option not in ("--json", "--help"))
    assert len(words) - words.index("--") - 1 <= command.words


def test_of_a_hostile_environment_nothing_goes_on() -> None:
    assert clean({**HOSTILE, "HOME": "/home/x", "TERM": "x"}) == {"PATH": PATH, "HOME": "/home/x", "TERM": "xterm"}
    assert clean({}) == {"PATH": PATH, "HOME": "/", "TERM": "dumb"}


@pytest.mark.parametrize("name", ["C", "POSIX", "C.UTF-8", "en_US.UTF-8", "de_AT.ISO-8859-1@euro", "ast_ES", "eo"])
def test_locales_go_on(name: str) -> None:
    for variable in ("LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES"):
        assert clean({variable: name})[variable] == name


@pytest.mark.parametrize("name", ["", "/etc", "../x", "en_US.UTF-8/x", "en_US.UTF-8\n", "EN", "en_us", "C.", "x" * 300])
def test_what_is_no_locale_does_not(name: str) -> None:
    assert "LANG" not in clean({"LANG": name})


@given(st.text())
def test_a_terminal_is_one_of_the_list(name: str) -> None:
    assert clean({"TERM": name})["TERM"] in ({name} & {"dumb", "ansi"} or {"xterm", "dumb"})
