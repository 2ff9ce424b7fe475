"""./run bench: measures smartsub beside other programs, prints the ratios and keeps them in RESULTS.md."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import data, interface, results, statements
from benchmarks.interface import Figures, Target, Walk
from benchmarks.results import Measured, tell
from benchmarks.statements import Cost

_SIZES: Final = (100_000, 1_000_000)
_LARGE: Final = 10_000_000
_QUICK_SIZES: Final = (2_000, 4_000)
_PEOPLE: Final = 10_000
_QUICK_PEOPLE: Final = 200
_IDLE_SECONDS: Final = 30.0
_OWN: Final = ("SMARTSUB", "XDG_", "TEXTUAL", "PYTHON", "COLUMNS", "LINES", "HOME")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 0 where all was measured, 1 where something was expected on a screen and never came."""
    options = _options().parse_args(arguments)
    if options.only == "race":
        options.postgres = True
    machine = results.machine()
    with tempfile.TemporaryDirectory(prefix="smartsub-bench-") as name:
        folder = Path(name)
        sizes = _QUICK_SIZES if options.quick else (*_SIZES, *([_LARGE] if options.ten_million else []))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
        environment["HOME"] = name
        rounds = options.rounds or (1 if options.quick else 5)
        if options.postgres:
            from benchmarks import on_postgres

            store = folder if options.quick else data.cache_folder()
            only = options.only or ("interface" if options.ten_million else None)
            return on_postgres.main(
                folder, store, sizes[-1], environment, rounds, machine, only=only, quick=options.quick
            )
        kept = []
        for size in sizes:
            tell(f"bench: the database of {size:,} orders ...")
            kept.append(data.database(size, folder if options.quick else data.cache_folder()))
        programs: dict[str, Figures] = {}
        costs: dict[str, list[Cost]] = {}
        misses: list[str] = []
        if options.only in (None, "interface"):
            _interface(_targets(kept), rounds, environment, programs, misses, quick=options.quick)
        if options.only in (None, "statements"):
            people = _QUICK_PEOPLE if options.quick else _PEOPLE
            todo = statements.statements([kept[1], kept[0], *kept[2:]], people, folder)
            for place in range(min(rounds, 3)):
                for each in todo:
                    tell(f"bench: round {place + 1}, {each.name}")
                    costs.setdefault(each.name, []).append(statements.run(each, environment))
    measured = Measured(programs, costs, sizes, misses)
    for miss in misses:
        tell(f"\nbench: {miss}")
    print(results.as_text(measured))
    if options.quick or options.only:
        tell("bench: a part, or a small one: RESULTS.md stays as it is")
    else:
        results.keep(results.as_document(measured, machine, rounds))
        tell(f"bench: wrote {results.FILE.parent.name}/{results.FILE.name}")
    return 1 if misses else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each program runs (5)")
    parser.add_argument("--quick", action="store_true", help="a look in seconds, on a few thousand orders")
    parser.add_argument("--ten-million", action="store_true", help="10,000,000 orders too")
    parser.add_argument("--postgres", action="store_true", help="smartsub on PostgreSQL, beside itself on a file")
    parser.add_argument(
        "--only", choices=("interface", "statements", "race"), help="a part; the race is on PostgreSQL alone"
    )
    return parser


def _targets(kept: Sequence[data.Kept]) -> list[Target]:
    """The programs in the order of a round: smartsub on each database, the others on the second."""
    beside = kept[1]
    return [
        interface.smartsub(beside),
        interface.hello(),
        interface.windowed(beside),
        interface.ansi(beside),
        *(interface.smartsub(each) for each in kept if each is not beside),
    ]


def _interface(
    targets: Sequence[Target],
    rounds: int,
    environment: dict[str, str],
    programs: dict[str, Figures],
    misses: list[str],
    *,
    quick: bool,
) -> None:
    for target in () if quick else targets:  # so that no round compiles modules or reads them from the disk
        interface.warm(target, environment)
    for place in range(rounds):
        for number, target in enumerate(targets):
            # Who idles the same way each time is watched once.
            watched = _IDLE_SECONDS if place == 0 and number == 0 else 0
            tell(f"bench: round {place + 1}, {target.name}")
            figures, missed = interface.measure(target, interface.QUICK if quick else Walk(idle=watched), environment)
            misses += missed
            for name, values in figures.items():
                programs.setdefault(target.name, {}).setdefault(name, []).extend(values)


if __name__ == "__main__":
    raise SystemExit(main())
