"""The floor of the statements: the same rows by Python's sqlite3 alone, without a rule, a check or a record.

    python -m benchmarks.bare renew DONE FRESH    what one order changed in DONE, written into FRESH
    python -m benchmarks.bare import DONE FRESH   the orders of DONE, inserted into FRESH
    python -m benchmarks.bare export DATABASE FILE

FRESH has the tables, constraints and indexes of smartsub, and the connection as much room for pages. The rows are read
from where smartsub has written them, so that nothing has to be worked out here.
"""

from __future__ import annotations

import csv
import sqlite3
import sys
from pathlib import Path


def renew(done: sqlite3.Connection, fresh: sqlite3.Connection) -> None:
    """All that stands in DONE after its one order was made and paid."""
    _copy(done, fresh, "orders", "order_line", "payment", "counter", "invoice", "audit_event")
    fresh.executemany(
        "UPDATE subscription SET activated_on = ?, expires_on = ?, anchor_day = ? WHERE id = ?",
        done.execute(
            "SELECT activated_on, expires_on, anchor_day, id FROM subscription"
            " WHERE id IN (SELECT subscription_id FROM order_line)"
        ),
    )


def import_(done: sqlite3.Connection, fresh: sqlite3.Connection) -> None:
    _copy(done, fresh, "orders")


def _copy(done: sqlite3.Connection, fresh: sqlite3.Connection, *tables: str) -> None:
    for table in tables:
        rows = done.execute(f'SELECT * FROM "{table}"')
        marks = ", ".join("?" for _ in rows.description)
        fresh.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)


def export(database: sqlite3.Connection, path: Path) -> None:
    """The columns of `smartsub export orders` in its order, the values as they are stored."""
    rows = database.execute(
        """
        SELECT
            number, office.name, type, status, apartments, total, orders.currency, created_at, paid_at, months, until, (
                SELECT group_concat(users.key, ';') FROM order_line
                JOIN subscription ON subscription.id = order_line.subscription_id
                JOIN users ON users.id = subscription.user_id
                WHERE order_line.order_id = orders.id
            )
        FROM orders JOIN office ON office.id = orders.office_id
        WHERE deleted_at IS NULL ORDER BY created_at DESC, orders.id DESC
        """
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def main() -> None:
    what, source, target = sys.argv[1:]
    done = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    if what == "export":
        export(done, Path(target))
        return
    fresh = sqlite3.connect(target)
    fresh.execute("PRAGMA cache_size = -8000")
    with fresh:  # one transaction
        {"renew": renew, "import": import_}[what](done, fresh)
    fresh.close()


if __name__ == "__main__":
    main()
