"""smartsub on PostgreSQL: its keys and its start beside those on a file with the same orders, and the race."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks import data, interface, race, results, server
from benchmarks.interface import Figures, Walk
from benchmarks.results import Measured, Ratio, tell

_KEYS: Final = (("j", 1.3), ("PageDown", 1.3), ("filter", 1.3), ("G", 1.3))
_START: Final = 1.25
_FILE: Final = "a file"
_MOST_RACES: Final = 3  # of each kind: they are the longer part, and have thousands of attempts each


def main(
    folder: Path,
    store: Path,
    orders: int,
    environment: Mapping[str, str],
    rounds: int,
    machine: Sequence[tuple[str, str]],
    *,
    only: str | None,
    quick: bool,
) -> int:
    """Measure, print it, and keep it in its section; 0 where nothing was missed."""
    found: list[Ratio] = []
    said: list[str] = []
    misses: list[str] = []
    if only in (None, "interface"):
        programs = _interface(store, orders, environment, rounds, misses, quick=quick)
        found += _ratios(Measured(programs, {}, (orders,), misses), orders)
        said.append(results.figures(programs))
    if only in (None, "race"):
        raced = race.run(folder, 1, 4, 8) if quick else race.run(folder, min(rounds, _MOST_RACES))
        found += race.ratios(raced)
        said.append(race.figures(raced))
    for miss in misses:
        tell(f"\nbench: {miss}")
    table = results.table(results.HEADS, [each.cells for each in found])
    print("\n\n".join([table, *said]) if only else table)
    if quick or only:
        tell("bench: a part, or a small one: RESULTS.md stays as it is")
    else:
        results.keep_postgres(_section(table, said, misses, machine, rounds))
        tell(f"bench: wrote the section of PostgreSQL in {results.FILE.parent.name}/{results.FILE.name}")
    return 1 if misses else 0


def _interface(
    store: Path, orders: int, environment: Mapping[str, str], rounds: int, misses: list[str], *, quick: bool
) -> dict[str, Figures]:
    tell(f"bench: the database of {orders:,} orders, as a file and on a server ...")
    kept = data.database(orders, store)
    programs: dict[str, Figures] = {}
    with server.with_orders(kept) as (url, password):
        environment = {**environment, "PGPASSWORD": password}
        targets = [interface.smartsub(kept), interface.smartsub(kept, url)]
        for target in () if quick else targets:
            interface.warm(target, environment)
        for place in range(rounds):
            for target in targets if place % 2 == 0 else targets[::-1]:
                tell(f"bench: round {place + 1}, {target.name}")
                figures, missed = interface.measure(target, interface.QUICK if quick else Walk(), environment)
                misses += missed
                for name, values in figures.items():
                    programs.setdefault(target.name, {}).setdefault(name, []).extend(values)
    return programs


def _ratios(measured: Measured, orders: int) -> Iterator[Ratio]:
    file, on_server = f"smartsub {orders}", f"smartsub {orders} PostgreSQL"

    def ratio(name: str) -> float:
        return measured.ratio(name, on_server, file)

    yield Ratio("start to the complete first frame: rows and keys", ratio("start: shown"), _START, _FILE)
    yield Ratio("start until all is counted too", ratio("start"), None, _FILE)
    for key, bound in _KEYS:
        yield Ratio("a filter key: time" if key == "filter" else f"{key}: time", ratio(key), bound, _FILE)
    yield Ratio("search without a match: first answer", ratio("search: shown"), None, _FILE)
    yield Ratio("memory at the end", ratio("memory"), None, _FILE)


def _section(
    table: str, said: Sequence[str], misses: Sequence[str], machine: Sequence[tuple[str, str]], rounds: int
) -> str:
    interface_, race_ = said
    return f"""
By `./run bench --postgres`, in one interleaved run of {rounds} rounds, and at most {_MOST_RACES} of the race: smartsub
on a server beside smartsub on a file with the same orders, and {race.CLIENTS} clients that all want to pay the same
{race.ORDERS} orders.

{table}

{len(misses)} times something was expected on the screen and never came. Every order of a race was paid exactly once,
and whoever came later was told that it is paid.

{results.table(("on", ""), machine)}

## Figures on PostgreSQL

{interface_}

{race_}
"""
