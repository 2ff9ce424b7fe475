"""What was measured as ratios beside their bounds, and as figures; as text, and as the file that is kept."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.interface import Figures
from benchmarks.statements import Cost
from smartsub_tui.data.sqlite import sqlite_version

FILE: Final = Path(__file__).with_name("RESULTS.md")
_ON_POSTGRES: Final = "\n# On PostgreSQL\n"


class Ratio(NamedTuple):
    """One line of the table. `bound` is the most that it may be; none where nothing was promised."""

    what: str
    value: float
    bound: float | None = None
    beside: str = ""

    @property
    def verdict(self) -> str:
        if self.value != self.value:
            return "not measured"
        if self.bound is None:
            return ""
        return "OK" if self.value <= self.bound else "over"

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        bound = "" if self.bound is None else f"{self.bound:.4g}"
        return (
            self.what,
            self.beside,
            f"{self.value:.4g}" if self.value < 0.01 else f"{self.value:.2f}",
            bound,
            self.verdict,
        )


class Measured(NamedTuple):
    """All figures of a run: of the programs by their names, of the statements by theirs, and what never came."""

    programs: Mapping[str, Figures]
    statements: Mapping[str, Sequence[Cost]]
    sizes: Sequence[int]
    misses: Sequence[str]

    def figure(self, program: str, name: str) -> float:
        """The median over all rounds; not a number where there is none."""
        values = self.programs.get(program, {}).get(name)
        return median(values) if values else float("nan")

    def ratio(self, name: str, program: str, other: str, other_name: str = "") -> float:
        below = self.figure(other, other_name or name)
        return self.figure(program, name) / below if below else float("nan")

    def cost(self, statement: str, place: int) -> float:
        costs = self.statements.get(statement)
        return median(each[place] for each in costs) if costs else float("nan")


def ratios(measured: Measured) -> list[Ratio]:
    """The table of what was promised, in its order."""
    found: list[Ratio] = []
    if measured.programs:
        found += _interface(measured)
    if measured.statements:
        found += _statements(measured)
    return found


def _interface(measured: Measured) -> Iterator[Ratio]:
    small, size = measured.sizes[0], measured.sizes[1]
    ours, window, floor = f"smartsub {size}", f"windowed {size}", f"ansi {size}"
    hello = "hello world"
    ratio = measured.ratio
    yield Ratio("start to the complete first frame: rows and keys", ratio("start: shown", ours, hello), 1.25, hello)
    yield Ratio("start until all is counted too", ratio("start", ours, hello), None, hello)
    for key, bound in (("j", 0.7), ("PageDown", 0.3), ("filter", 0.4)):
        yield Ratio(f"{_key(key)}: time", ratio(key, ours, window), bound, "windowed DataTable")
    yield Ratio("G, to the end: time", ratio("G", ours, window), None, "windowed DataTable")
    frame = "a filter key of its own"
    yield Ratio("search without a match: first answer", ratio("search: shown", ours, ours, "filter"), 3.0, frame)
    for name in ("key while it searches", "clear while it searches"):
        yield Ratio(f"{name}: answered", ratio(f"{name}: shown", ours, ours, "filter"), None, frame)
    yield Ratio("memory at the end", ratio("memory", ours, hello), 1.4, hello)
    for other in measured.sizes[1:]:
        more, beside = f"smartsub {other}", f"of {small:,} orders"
        yield Ratio(f"{other:,} orders: start", ratio("start: shown", more, f"smartsub {small}"), 1.1, beside)
        counted = ratio("start", more, f"smartsub {small}")
        yield Ratio(f"{other:,} orders: start until all is counted", counted, None, beside)
        yield Ratio(f"{other:,} orders: memory", ratio("memory", more, f"smartsub {small}"), 1.1, beside)
        for key in ("j", "PageDown", "G", "filter"):
            yield Ratio(f"{other:,} orders: {_key(key)}", ratio(key, more, f"smartsub {small}"), 1.35, beside)
    for key, bound in (("j", 5.0), ("PageDown", 2.5), ("filter", 3.0)):
        yield Ratio(f"{_key(key)}: bytes", ratio(f"{key}: bytes", ours, floor), bound, "raw ANSI")
    if "idle bytes" in measured.programs[ours]:
        yield Ratio("idle: bytes", measured.figure(ours, "idle bytes"), 0.0)
        yield Ratio("idle: part of a core", measured.figure(ours, "idle core"), 0.003)


def _statements(measured: Measured) -> Iterator[Ratio]:
    small, size = measured.sizes[0], measured.sizes[1]
    for name, label, bound in (
        ("renew", "renew and pay one order of many people", 2.5),
        ("import", "import of orders without lines", 4.0),
        (f"export {size}", "export of orders as CSV", 4.0),
    ):
        for place, unit in ((1, "time of a core"), (0, "time")):
            value = measured.cost(name, place) / measured.cost(f"{name}, bare", place)
            yield Ratio(f"{label}: {unit}", value, bound if place else None, "bare sqlite3")
    for other in measured.sizes[1:]:
        value = measured.cost(f"export {other}", 2) / measured.cost(f"export {small}", 2)
        yield Ratio(f"export of {other:,} orders: memory", value, 1.25, f"of {small:,} orders")


def _key(name: str) -> str:
    return "a filter key" if name == "filter" else name


def machine() -> list[tuple[str, str]]:
    """What it was measured on, and with what."""
    root = Path(__file__).parents[1]
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False).stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--", "smartsub_tui", "smartsub.tcss") else ""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return [
        ("processor", f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores"),
        ("memory", f"{pages / 2**30:.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", f"{platform.python_version()}, SQLite {sqlite_version()}"),
        ("packages", ", ".join(f"{name} {version(name)}" for name in ("textual", "peewee", "apsw"))),
        ("commit", (git("rev-parse", "--short", "HEAD") or "none") + changed),
        ("day", datetime.now(UTC).date().isoformat()),
        ("load before", f"{os.getloadavg()[0]:.2f}"),
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that reads alike as text and as Markdown."""
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    lines = [heads, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(text.ljust(width) for text, width in zip(line, widths, strict=True))} |" for line in lines
    )


HEADS: Final = ("what", "beside", "ratio", "at most", "")


def as_text(measured: Measured) -> str:
    """The ratios, for the terminal."""
    return table(HEADS, [each.cells for each in ratios(measured)])


def figures(programs: Mapping[str, Figures]) -> str:
    """What was measured of each program."""
    rows = [
        (program, name, f"{median(values):.1f}", f"{min(values):.1f}", f"{max(values):.1f}", str(len(values)))
        for program, measured in programs.items()
        for name, values in measured.items()
    ]
    return table(("program", "figure", "median", "least", "most", "values"), rows)


def as_document(measured: Measured, of: Sequence[tuple[str, str]], rounds: int) -> str:
    """RESULTS.md: the ratios, what they were measured on, and the figures behind them."""
    costs = [
        (name, *(f"{median(each[place] for each in costs):.2f}" for place in range(3)))
        for name, costs in measured.statements.items()
    ]
    return f"""# What was measured

By `./run bench`, in one interleaved run of {rounds} rounds in a terminal of 120x40: medians. Ratios mean something on
any machine, the figures below them do not. [README.md](README.md) says what each line is.

{table(HEADS, [each.cells for each in ratios(measured)])}

{len(measured.misses)} times something was expected on the screen and never came.

{table(("on", ""), of)}

## Figures

Times in milliseconds, memory in megabytes, sizes in bytes; `shown` is the time until what was expected stood on the
screen, the time itself is until nothing changed any more, `compressed` the bytes as ssh sends them with compression.

{figures(measured.programs)}

Whole processes: seconds of the clock, seconds of a core, megabytes at most.

{table(("process", "time", "core", "memory"), costs)}
"""


def keep(document: str) -> None:
    """Write RESULTS.md anew, but for its section of PostgreSQL, which is measured by itself."""
    written = FILE.read_text("utf-8") if FILE.exists() else ""
    FILE.write_text(document + written[written.find(_ON_POSTGRES) :] if _ON_POSTGRES in written else document, "utf-8")


def keep_postgres(section: str) -> None:
    """Write that section of RESULTS.md anew, and nothing else of it."""
    written = FILE.read_text("utf-8") if FILE.exists() else ""
    FILE.write_text(f"{written.partition(_ON_POSTGRES)[0]}{_ON_POSTGRES}\n{section}", "utf-8")


def tell(text: str) -> None:
    """Progress, beside the result."""
    print(text, file=sys.stderr, flush=True)
