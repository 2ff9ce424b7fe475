"""psycopg, which comes with the first database on a server: smartsub_tui keeps it from being imported before."""

from __future__ import annotations

import sys
from types import ModuleType

from smartsub_tui.errors import Unavailable

if "psycopg" in sys.modules and sys.modules["psycopg"] is None:
    del sys.modules["psycopg"]
# It looks up its installed version when it is imported, a fifth of that time, and needs it in one error message alone.
# This is what it says where it finds none.
for name in ("psycopg.version", "psycopg_binary.version"):
    version = ModuleType(name)
    version.__version__ = "0.0.0.0"  # type: ignore[attr-defined]  # noqa: S104 - no address
    sys.modules.setdefault(name, version)
try:
    import psycopg
    from psycopg import errors
    from psycopg.pq import ConnStatus, TransactionStatus
except ModuleNotFoundError as missing:
    raise Unavailable(
        "PostgreSQL needs the package psycopg, which is not installed: install smartsub-tui[postgres]"
    ) from missing

__all__ = ["ConnStatus", "TransactionStatus", "errors", "psycopg"]
