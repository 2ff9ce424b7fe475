"""./run hostile: so many generated escapes and the Big List of Naughty Strings, on every screen at two sizes."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.fetch import fetch
from tests.hostile.ground import environment, prepare
from tests.hostile.strings import escapes, naughty
from tests.hostile.walk import SIZES, VISITS, Walk
from tests.support import a_count


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run hostile", description=__doc__)
    parser.add_argument("--escapes", type=a_count, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--orders", type=a_count, default=60, help="of each database, of which all is looked at")
    asked = parser.parse_args()
    fetch()
    began, rows, pictures, sent = time.monotonic(), 0, 0, 0
    strings = list(dict.fromkeys(each for each in (*(naughty() or ()), *escapes(asked.escapes, asked.seed)) if each))
    for start in range(0, len(strings), _AT_ONCE):
        some = strings[start : start + _AT_ONCE]
        with tempfile.TemporaryDirectory(prefix="smartsub-hostile-") as place:
            folder = Path(place)
            prepare(folder, some)
            for size in SIZES:
                walk = Walk(folder, environment(folder), size)
                try:
                    for name in VISITS:
                        walk.visit(name, len(some))
                    walk.orders(asked.orders)
                    walk.leave()
                finally:
                    walk.close()
                rows, pictures, sent = rows + walk.rows, pictures + walk.pictures, sent + walk.sent.bytes
        print(
            f"{start + len(some):,} of {len(strings):,} strings, {rows:,} rows in {pictures:,} pictures of"
            f" {len(VISITS)} screens, {sent:,} bytes, none beside the list, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    return 0


_AT_ONCE = 800

if __name__ == "__main__":
    sys.exit(main())
