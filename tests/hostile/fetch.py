"""`python -m tests.hostile.fetch` gets the Big List of Naughty Strings (MIT) by npm, kept outside of this clone.

It is the package `blns`, pinned by version and by the SHA-512 of its archive.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

PACKAGE: Final = "blns@2.0.4"
SHA512: Final = (
    "6446590fc0ef189853c3da04dee2e3c938450cc4506dc1f4d756324942be9007"
    "2e787bda50345f58aa7b409ad06e56adf16cdc7a05b0545b8d77e5d9e3d2d139"
)
_LIST: Final = "package/resources/blns.json"
_MOST: Final = 1_000_000


def kept() -> Path:
    """Where the list is, or is to be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "smartsub", f"{PACKAGE}.json")


def fetch() -> Path:
    """Get the list where it is not there yet. Raises ValueError for an archive that is another one."""
    path = kept()
    if path.exists():
        return path
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        if hashlib.sha512(archive.read_bytes()).hexdigest() != SHA512:
            raise ValueError(f"{PACKAGE} is not what it was: its SHA-512 is another one")
        with tarfile.open(archive) as packed:
            found = packed.extractfile(_LIST)
            assert found is not None
            text = found.read(_MOST)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(text)
    part.replace(path)
    return path


if __name__ == "__main__":
    try:
        print(fetch())
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"{PACKAGE} could not be fetched: {error}")
