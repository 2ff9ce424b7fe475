"""./run mutants: plants small faults in billing/, one at a time, and shows which of them no test of billing/ notices.

mutmut makes and runs them, in a copy of what is committed and in an environment of its own; a sample is drawn, for all
of them take a night. `billing/demo/` is left out: it makes sample data.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Final

from tests.support import a_count

ROOT: Final = Path(__file__).parents[1]
MUTMUT: Final = "mutmut==3.8.1"
# Tests of many processes see only the program that they start, which has no mutants.
_SETTINGS: Final = """
[tool.mutmut]
source_paths = ["smartsub_tui/"]
only_mutate = ["smartsub_tui/billing/*"]
do_not_mutate = ["smartsub_tui/billing/demo/*"]
also_copy = ["tests", "benchmarks", "docs", "smartsub.tcss", "constraints.txt", "run", "README.md"]
pytest_add_cli_args_test_selection = ["tests/billing"]
pytest_add_cli_args = [
    "-p", "no:cacheprovider", "-p", "no:xdist",
    "--deselect", "tests/billing/test_link_races.py", "--deselect", "tests/billing/test_races.py",
    "--deselect", "tests/billing/test_credits.py::test_of_many_that_take_back_at_once_each_line_is_taken_once",
]
"""
# What `mutmut run` does first; there is no command for it alone.
_MAKE: Final = """
from mutmut import __main__ as mutmut
from mutmut.mutation.trampoline import set_mutant_under_test
set_mutant_under_test("mutant_generation")
mutmut.makedirs(mutmut.Path("mutants"), exist_ok=True)
mutmut.copy_src_dir(); mutmut.copy_also_copy_files(); mutmut.setup_source_paths()
mutmut.create_mutants(2)
"""
# Exit codes of pytest in a mutant, as mutmut keeps them.
_SURVIVED, _NO_TEST = 0, 33
_TIMED_OUT: Final = {24, -24, 36, 152, 255}


def _prepare(folder: Path) -> tuple[Path, Path]:
    """A clone of what is committed, and the mutmut that is to work on it."""
    clone, env = folder / "clone", folder / "env"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
    site = next(env.glob("lib/python3*/site-packages"))
    (site / "smartsub-test.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    subprocess.run([env / "bin/pip", "install", "--quiet", MUTMUT], check=True)
    with (clone / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(_SETTINGS)
    return clone, env / "bin"


def _results(clone: Path) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for meta in sorted((clone / "mutants/smartsub_tui/billing").rglob("*.meta")):
        found |= json.loads(meta.read_text("utf-8"))["exit_code_by_key"]
    return found


def _run(clone: Path, programs: Path, drawn: list[str], jobs: int) -> None:
    # Few examples, and no search for the smallest one: a mutant is noticed or not.
    env = {**os.environ, "HYPOTHESIS_PROFILE": "mutants", "SMARTSUB_SEQUENCES": "6"}
    subprocess.run([programs / "mutmut", "run", "--max-children", str(jobs), *drawn], cwd=clone, env=env, check=True)


def _show(clone: Path, programs: Path, name: str) -> None:
    shown = subprocess.run([programs / "mutmut", "show", name], cwd=clone, capture_output=True, text=True, check=True)
    print(f"\n{name}")
    for line in shown.stdout.splitlines():
        if line.startswith(("-", "+")) and not line.startswith(("---", "+++")):
            print(f"  {line}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run mutants", description=__doc__)
    parser.add_argument("--sample", type=a_count, default=500, metavar="N", help="so many of them (500)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only those whose name has this: payments, x_settle")
    parser.add_argument("-j", type=a_count, default=2, metavar="N", help="processes")
    asked = parser.parse_args()
    by_module: defaultdict[str, list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="smartsub-mutants-") as folder:
        clone, programs = _prepare(Path(folder))
        subprocess.run([programs / "python", "-c", _MAKE], cwd=clone, check=True, stdout=subprocess.DEVNULL)
        names = [name for name in sorted(_results(clone)) if asked.only in name]
        drawn = sorted(Random(asked.seed).sample(names, min(asked.sample, len(names))))
        print(f"{len(drawn)} of {len(names)} mutants", flush=True)
        _run(clone, programs, drawn, asked.j)
        results = _results(clone)
        for name in drawn:
            noticed = results[name] not in (_SURVIVED, _NO_TEST)
            by_module[name.rpartition(".")[0].removeprefix("smartsub_tui.billing.")].append(noticed)
            if not noticed:
                _show(clone, programs, name)
    print()
    for module, found in sorted(by_module.items()):
        print(f"{module:24} {sum(found):>4} of {len(found):>4}")
    total = sum(sum(found) for found in by_module.values())
    late = sum(results[name] in _TIMED_OUT for name in drawn)
    print(f"{total} of {len(drawn)} noticed, {100 * total / max(1, len(drawn)):.1f} %; {late} of them by not ending")
    return 0


if __name__ == "__main__":
    sys.exit(main())
