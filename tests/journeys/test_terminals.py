"""The same way through the application on each kind of terminal: what is sent stays within it, and says all."""

from __future__ import annotations

import base64
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.journeys.material import SMARTSUB, environment, smartsub
from tests.packaging.terminal import Terminal

pytestmark = [pytest.mark.pty, pytest.mark.once]

OFFICE: Final = "Østbanehallen 梅田"
STATUSES: Final = ("processing", "system_processing", "succeed", "failed", "time_out", "cancel")
ORDERS: Final = "order_number,office,type,status,apartments,total,currency,created_at,paid_at,months,until,user_ids"
USERS: Final = (
    "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,activated_on,expires_on"
)
# In the order of the list; as many again make a scroll bar.
NUMBERS: Final = tuple(f"20240501{100000 - place:06}000001" for place in range(24))
SHORT: Final = "https://billing.example/" + "a1B2-c3/" * 4
LONG: Final = "https://billing.example/" + "a1B2-c3/" * 40


class Kind(NamedTuple):
    """A kind of terminal: its name, what else its environment says, and what it takes."""

    term: str
    variables: dict[str, str]
    colours: str
    signs: bool = True
    letters: bool = True
    clipboard: bool = True
    address: str = SHORT


KINDS: Final = {
    "24-bit": Kind("xterm-256color", {"COLORTERM": "truecolor"}, "truecolor"),
    "256": Kind("tmux-256color", {"TMUX": "default,1,0"}, "256"),
    "16": Kind("xterm-16color", {}, "16"),
    "screen": Kind("screen", {"STY": "1.pts-0.host"}, "16", address=LONG),
    "no colour": Kind("xterm-256color", {"COLORTERM": "truecolor", "NO_COLOR": "1"}, "none"),
    "ascii": Kind("xterm-256color", {"LANG": "C"}, "256", signs=False, letters=False),
    "linux": Kind("linux", {}, "16", signs=False, clipboard=False),
    "vt220": Kind("vt220", {}, "none", signs=False, letters=False),
}
# Bold, dim, italic, underlined, reverse.
ATTRIBUTES: Final = {0, 1, 2, 3, 4, 7}
SIXTEEN: Final = {*range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108)}
IN_ASCII: Final = str.maketrans("─…»✓·", "-~>+.")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Orders of every status, of long ago: what stands in the list is the same whenever this runs."""
    folder = tmp_path_factory.mktemp("terminals")
    orders = [
        f"{number},{OFFICE},subscription,{status},1,3.57,EUR,2024-05-01T10:{59 - place:02}:00Z,{paid},1,,{user}"
        for place, number in enumerate(NUMBERS)
        for status in [STATUSES[place % len(STATUSES)]]
        for paid in ["2024-05-01T12:00:00Z" if status == "succeed" else ""]
        for user in [f"U{place}" if place < 2 else ""]
        if place < 2 or "processing" not in status
    ]
    people = [
        f"{OFFICE},office,UTC,EUR,Sales,U{place},Zoë Bjørn,,user,,app,2024-01-05,2030-01-05" for place in range(2)
    ]
    (folder / "prices.csv").write_text(
        "service,action,amount,currency,office_kind,tax_rate,valid_from\napp,month,3,EUR,,0.19,2020-01-01\n"
    )
    (folder / "users.csv").write_text("\n".join([USERS, *people, ""]))
    (folder / "orders.csv").write_text("\n".join([ORDERS, *orders, ""]))
    env = environment(folder)
    smartsub(env, "init", "--admin", "mara")
    smartsub(env, "import", "--admin", "mara", *(folder / f"{name}.csv" for name in ("prices", "users", "orders")))
    return folder


def frame(terminal: Terminal) -> str:
    """The screen as text: its characters, below each line how they look, and at the end what these letters mean.

    How they look is what the terminal was told: the names that pyte has for colours 0 to 15, or six hexadecimal digits.
    """
    rows = []
    looks: Counter[str] = Counter()
    for row in terminal.cells:
        told = []
        for cell in row:
            ink = [name for name in ("bold", "italics", "underscore", "reverse") if getattr(cell, name)]
            if cell.data != " " or cell.reverse:
                ink.append(cell.fg)
            told.append(" ".join([*ink, "on", cell.bg]))
        looks.update(told)
        rows.append(told)
    letters = {look: ".abcdefghijklmnopqrstuvwxyz"[place] for place, look in enumerate(looks)}
    lines = []
    for text, told in zip(terminal.text.split("\n"), rows, strict=True):
        lines += [
            f" {re.sub(r'updated ..:..:..', 'updated 12:00:00', text)}|",
            f" {''.join(letters[each] for each in told)}",
        ]
    return "\n".join([*lines, *(f"{letter} {look}" for look, letter in letters.items())])


def colours_sent(output: bytes) -> Iterator[int | str]:
    """Every parameter of every SGR sequence; "256" and "truecolor" for a colour given by its number or its parts."""
    for sequence in re.findall(rb"\x1b\[([0-9;]*)m", output):
        parts = iter([int(part or 0) for part in sequence.split(b";")])
        for part in parts:
            if part in (38, 48):
                depth = next(parts)
                for _ in range({5: 1, 2: 3}[depth]):
                    next(parts)
                yield {5: "256", 2: "truecolor"}[depth]
            else:
                yield part


def look_of(terminal: Terminal, row: int, column: int) -> tuple[Any, ...]:
    cell = terminal.cells[row][column]
    return cell.fg, cell.bg, cell.bold, cell.reverse


def row_of(terminal: Terminal, text: str) -> int:
    return next(row for row, line in enumerate(terminal.text.split("\n")) if text in line)


def is_under_the_cursor(terminal: Terminal, number: str) -> bool:
    """Whether the row stands out from the one below it."""
    row = row_of(terminal, number)
    return look_of(terminal, row, 2)[1::2] != look_of(terminal, row + 1, 2)[1::2]


@pytest.mark.parametrize("name", KINDS)
def test_what_is_sent_stays_within_the_terminal(name: str, database: Path, tmp_path: Path, snapshot: Any) -> None:
    kind, config = KINDS[name], tmp_path / "config.toml"
    config.write_text(f'[billing_system]\nurl = "{kind.address}"\n')
    env = {key: value for key, value in environment(database).items() if key not in ("COLORTERM", "TMUX", "STY")}
    env |= {"SMARTSUB_CONFIG": str(config), "LANG": "C.UTF-8", **kind.variables}

    def sign(text: str) -> str:
        return text if kind.signs else text.translate(IN_ASCII)

    command = [*SMARTSUB, "--admin", "mara", "--screen", "payments", "--filter", "created:2024"]
    with Terminal(command, cwd=database, env=env, term=kind.term) as terminal:
        terminal.wait_for("Subscription 18")
        terminal.type("  ")
        terminal.wait_for("2 marked")
        terminal.wait_for("D restore")  # what can be done to the marked is told last
        third = NUMBERS[2]
        assert is_under_the_cursor(terminal, third)
        # Marks, statuses and the cursor are told without a colour
        lines = terminal.text.split("\n")
        assert [line[:21] for line in lines if line.startswith("*2024")] == [f"*{each}" for each in NUMBERS[:2]]
        assert not is_under_the_cursor(terminal, NUMBERS[3])
        for words in ("… Processing", "» System Processing", "✓ Succeed", "x Failed", "o Time out", "- Cancel"):
            assert sign(words) in terminal.text
        if name in ("256", "16", "no colour", "ascii", "linux"):
            assert frame(terminal) == snapshot
        # What is copied is shown
        terminal.type("y")
        terminal.wait_for(f"sent {third} to" if kind.clipboard else "the Linux console has no clipboard")
        assert third in terminal.text
        # What is wrong is bold, or marked, where there are no colours
        terminal.type("/status:faild")
        terminal.wait_for("did you mean failed?")
        wrong = row_of(terminal, "did you mean failed?")
        usual = look_of(terminal, row_of(terminal, NUMBERS[5]), 2)
        assert look_of(terminal, wrong, 2) != usual
        assert kind.colours != "none" or terminal.cells[wrong][2].bold
        terminal.type("\x15\r")
        terminal.wait_for("did you mean", gone=True)
        terminal.type("g\r")
        terminal.wait_for("Zo")
        assert ("Zoë Bjørn" if kind.letters else "Zoe Bj?rn") in terminal.text
        assert (OFFICE[:14] if kind.letters else "?stbanehallen ????") in terminal.text
        terminal.type("b")
        terminal.wait_for("Zo", gone=True)
        terminal.wait_for("y copy")
        assert ("▀" in terminal.text) is (kind.signs and kind.address == SHORT)
        assert kind.signs or "which this terminal may not have" in terminal.text
        terminal.type("y")
        terminal.wait_for("sent the address" if kind.clipboard else "has no clipboard")
        terminal.type("\x1b")
        terminal.wait_for("] order after")
        terminal.type("d")
        terminal.wait_for("Yes, delete")
        assert sign("… Processing") in terminal.text
        terminal.type("\x1b")
        terminal.wait_for("Yes, delete", gone=True)
        terminal.type("1")
        terminal.wait_for("NEEDS YOU")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    sent = set(colours_sent(terminal.output))
    if kind.colours == "16":
        assert sent <= ATTRIBUTES | SIXTEEN
    else:
        assert sent <= ATTRIBUTES | {kind.colours}
    drawn = {each for each in terminal.output.decode() if not each.isascii()}
    if not kind.letters:
        assert drawn == set()
    elif not kind.signs:
        assert drawn == set(f"{OFFICE}Zoë Bjørn") - set(map(chr, range(128)))
    else:
        assert drawn >= set("─…»✓·")
    copied = b"".join(b"\x1b]52;c;%s\a" % base64.b64encode(each.encode()) for each in (third, kind.address))
    if not kind.clipboard:
        assert b"\x1b]52" not in terminal.output
    elif "STY" in env:  # GNU screen takes off what wraps it
        parts = re.findall(rb"\x1bP((?:[^\x1b]|\x1b[^\\])*)\x1b\\", terminal.output)
        assert b"".join(parts) == copied
        assert max(map(len, parts)) <= 256
    else:
        assert b"".join(re.findall(rb"\x1b\]52[^\a]*\a", terminal.output)) == copied


def test_nothing_is_sent_while_nothing_happens(database: Path) -> None:
    """Neither over a table nor with a caret in a field: nothing blinks, moves or counts.

    Looked at for longer than a caret blinks, and than the application waits between two looks for changes of others.
    """
    command = [*SMARTSUB, "--admin", "mara", "--screen", "payments", "--filter", "created:2024"]
    with Terminal(command, cwd=database, env=environment(database)) as terminal:
        terminal.wait_for(" of 18")
        terminal.type("j")
        terminal.wait_until(lambda: is_under_the_cursor(terminal, NUMBERS[1]), "the second row")
        terminal.written_within(0.2)  # the key line
        assert terminal.written_within(1.5) == b""
        terminal.type("/00")
        terminal.wait_for("created:2024 00")
        terminal.wait_for("18 of 18")
        terminal.written_within(0.5)  # counts wait until nobody types
        assert terminal.written_within(1.5) == b""


def drawn_anew(terminal: Terminal) -> bytes:
    """What is sent when all of it is drawn again, as behind a stop."""
    before = len(terminal.output)
    terminal.process.send_signal(signal.SIGCONT)

    def sent() -> bytes:
        return terminal.output[before:].partition(b"\x1b[?1049h")[2]

    terminal.wait_until(lambda: b"\x1b[24;" in sent(), "the whole screen")
    return sent()


OVER_ORDERS: Final = ("--admin", "mara", "--screen", "payments", "--filter", "created:2024")


def test_what_is_not_sent_again_stands_on_the_screen(database: Path) -> None:
    """Behind each step the screen is what it is when all of it is drawn anew."""
    walk = {
        "/": "Esc back", "stat": "status:", "\x15created:2024\r": "Enter info", "S": "Status", "\x1b": "Enter info",
        "\r": "Zoë", "q": "Enter info", "?": "Esc back", "q ": "1 marked", "j ": "2 marked",
        "1": "NEEDS YOU", "3": "2 marked",
    }  # fmt: skip
    env = environment(database) | {"LANG": "C.UTF-8"}
    with Terminal([*SMARTSUB, *OVER_ORDERS], cwd=database, env=env) as terminal:
        terminal.wait_for("Subscription 18")
        terminal.wait_for("Enter info")
        for keys, shown in walk.items():
            terminal.type(keys)
            terminal.wait_for(shown)
            terminal.written_within(1)  # counts wait until nobody types
            before = frame(terminal)
            drawn_anew(terminal)
            terminal.written_within(0.3)
            assert frame(terminal) == before, keys


def test_two_slashes_behind_the_key_of_the_list_select_all_of_the_filter(database: Path) -> None:
    """As a scanner sends them that begins with /; the line was used before, and is empty again."""
    with Terminal([*SMARTSUB, *OVER_ORDERS], cwd=database, env=environment(database)) as terminal:
        terminal.wait_for(" of 18")
        for keys, shown in (("/", "Esc back"), ("\r", "Enter info"), ("\x1b", "")):
            terminal.type(keys)
            terminal.wait_for(shown)
        terminal.wait_for("created:2024", gone=True)
        terminal.type("1")
        terminal.wait_for("NEEDS YOU")
        terminal.type("3//status:failed")
        terminal.wait_for("status:failed")
        assert "//status" not in terminal.text


def test_f5_draws_what_another_program_has_written_over(database: Path) -> None:
    """On the list of orders and in its filter line."""
    env = environment(database) | {"LANG": "C.UTF-8"}
    with Terminal([*SMARTSUB, *OVER_ORDERS], cwd=database, env=env) as terminal:
        terminal.wait_for("Subscription 18")
        for keys, shown in (("", "Enter info"), ("/", "Esc back")):
            terminal.type(keys)
            terminal.wait_for(shown)
            terminal.written_within(1)  # counts wait until nobody types
            before = frame(terminal)
            terminal.write_over(b"\x1b7\x1b[7;3HThe system goes down at noon\x1b8")
            terminal.wait_for("goes down at noon")
            terminal.type("\x1b[15~")
            terminal.wait_for("goes down at noon", gone=True)
            terminal.written_within(0.3)
            assert frame(terminal) == before, keys


def test_a_focus_that_goes_and_comes_is_a_few_lines(database: Path) -> None:
    env = environment(database) | {"LANG": "C.UTF-8"}
    with Terminal([*SMARTSUB, *OVER_ORDERS], cwd=database, env=env) as terminal:
        terminal.wait_for("Subscription 18")
        terminal.wait_for("Enter info")
        terminal.written_within(0.3)
        sizes = []
        for keys, shown in (("/", "Esc back"), ("\x1b", "Enter info")):
            before = len(terminal.output)
            terminal.type(keys)
            terminal.wait_for(shown)
            terminal.written_within(0.3)
            sizes.append(len(terminal.output) - before)
        assert 4 * max(sizes) < len(drawn_anew(terminal))
