"""Enough rows for PostgreSQL to weigh its ways: 40,000 orders and 24,000 people, made by the server itself in seconds.

Most of what is asked for is rare, as it is in life: open and failed orders, money that waits, people who expire soon.
The first office is large, the others are small. Nothing here follows the rules of `billing`: it is for plans alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from smartsub_tui.data.fields import to_microseconds
from tests.support import NOW, TODAY

ORDERS: Final = 40_000
PEOPLE: Final = 24_000
OFFICE: Final = "Office 1"  # where every third person is, and every third order
SMALL: Final = "Office 9"
DEPARTMENT: Final = "Sales 47"  # of the small office
USER: Final = "u-700"

_MINUTE: Final = 60 * 1_000_000
_NOW: Final = to_microseconds(NOW)

# The newest order is 1. Of the newest hundred and fifty some are open; of all, one of twenty failed or was given up.
_STATUS: Final = """CASE WHEN n <= 120 AND n % 2 = 0 THEN 'processing' WHEN n <= 150 AND n % 5 = 0 THEN
 'system_processing' WHEN n % 20 = 1 THEN 'failed' WHEN n % 20 = 2 THEN 'time_out' WHEN n % 20 = 3 THEN 'cancel'
 ELSE 'succeed' END"""

_TABLES: Final = {
    "office": """INSERT INTO office (name, name_folded, kind, timezone, currency)
SELECT 'Office ' || n, 'office ' || n, 'office', 'UTC', 'EUR' FROM generate_series(1, 60) n""",
    "department": """INSERT INTO department (office_id, name, name_folded)
SELECT o, 'Sales ' || (o * 5 + d), 'sales ' || (o * 5 + d) FROM generate_series(1, 60) o, generate_series(1, 5) d""",
    "users": f"""INSERT INTO users (key, key_folded, office_id, department_id, name, name_folded, email, kind)
SELECT 'u-' || n, 'u-' || n, o, (o - 1) * 5 + 1 + n % 5, 'Person ' || n, 'person ' || n, '', 'user'
FROM (SELECT n, CASE WHEN n % 3 = 0 THEN 1 ELSE n % 59 + 2 END AS o FROM generate_series(1, {PEOPLE}) n) AS people""",
    "subscription": f"""INSERT INTO subscription (user_id, service, activated_on, expires_on, anchor_day)
SELECT n, 'app', CASE WHEN n % 50 > 0 THEN date '2026-01-01' END, CASE WHEN n % 50 > 0 THEN date '{TODAY}' +
(CASE WHEN n % 50 = 1 THEN n % 30 WHEN n % 50 = 2 THEN -1 - n % 300 ELSE 40 + n % 300 END)::int END,
CASE WHEN n % 50 > 0 THEN 1 END FROM generate_series(1, {PEOPLE}) n""",
    "orders": f"""INSERT INTO orders (number, office_id, type, status, status_since, apartments, currency, net, tax,
total, months, created_at, created_by, created_by_folded, pay_by, paid_at, late, history, made_from_id, deleted_at,
version)
SELECT to_char(to_timestamp(at / 1000000) AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISS') ||
lpad((n * 7919 % 1000000)::text, 6, '0'),
CASE WHEN n % 3 = 0 THEN 1 ELSE n % 59 + 2 END,
CASE n % 20 WHEN 0 THEN 'activation' WHEN 1 THEN 'additional_app' ELSE 'subscription' END,
status, at, 1, 'EUR', n % 5000, 0, n % 5000, 1, at, 'maria', 'maria',
CASE WHEN status = 'processing' AND n % 4 = 0 THEN {_NOW} + n::bigint * {_MINUTE}
ELSE at + 1440::bigint * {_MINUTE} END,
CASE WHEN status = 'succeed' THEN at END, status = 'succeed' AND n % 400 = 0, false, NULL,
CASE WHEN n % 100 = 3 AND status NOT IN ('processing', 'system_processing') THEN at END, 1
FROM (SELECT n, {_NOW} - n::bigint * 25 * {_MINUTE} AS at, {_STATUS} AS status
FROM generate_series({ORDERS}, 1, -1) n) AS made""",
    "made from": "UPDATE orders SET made_from_id = id - 1 WHERE id % 40 = 0",
    "order_line": f"""INSERT INTO order_line (order_id, subscription_id, label, action, amount, tax_rate_ppm)
SELECT id, id * 7 % {PEOPLE} + 1, 'someone', 'month', total, 0 FROM orders""",
    "claim": """INSERT INTO claim (subscription_id, order_id) SELECT l.subscription_id, o.id FROM orders o
JOIN order_line l ON l.order_id = o.id WHERE o.status IN ('processing', 'system_processing') ON CONFLICT DO NOTHING""",
    # One for each order that was paid, and for those under way; some failed ones have money that waits.
    "payment": """INSERT INTO payment (order_id, provider, state, idempotency_key, amount, currency, created_at,
changed_at, created_by, applied, ask_at, asked, contested) SELECT id, 'stripe', CASE status
WHEN 'system_processing' THEN 'unknown' WHEN 'processing' THEN 'sent' ELSE 'succeeded' END, 'key ' || id,
total, 'EUR', created_at, created_at, 'maria', status = 'succeed',
CASE WHEN status = 'system_processing' THEN created_at END, 0, id % 9000 = 0 FROM orders
WHERE status = 'succeed' OR status = 'system_processing' OR (status = 'processing' AND id % 8 = 0) OR (status = 'failed'
AND id % 1000 = 0)""",
    "invoice": """INSERT INTO invoice (order_id, kind, number, series, year, sequence, issued_at, issued_on, currency,
net, tax, total, snapshot) SELECT id, 'invoice', 'INV-' || id, 'INV', 2026, id, created_at, '2026-11-01', 'EUR', net,
tax, total, '{}' FROM orders WHERE status = 'succeed'""",
    "refund": """INSERT INTO refund (payment_id, state, idempotency_key, amount, currency, reason, created_at,
changed_at, created_by, asked) SELECT id, CASE WHEN id % 500 = 0 THEN 'unknown' WHEN id % 300 = 0 THEN 'declined'
ELSE 'succeeded' END, 'refund ' || id, 1, 'EUR', 'why', created_at, created_at, 'maria', 0 FROM payment
WHERE id % 10 = 0""",
    "admin": f"INSERT INTO admin (name, role, created_at) VALUES ('ann', 'operator', {_NOW})",
    "admin_office": "INSERT INTO admin_office (admin_id, office_id) VALUES (1, 9)",
    "audit_event": """INSERT INTO audit_event (id, at, admin, source, action, order_id, hash)
SELECT id, created_at, 'maria', 'cli', 'create', id, '' FROM orders""",
}


def fill(database: Any) -> None:
    """Into an empty database of a server; its rows are counted, and index entries need no look at the row behind."""
    with database.writing():
        database.execute_sql("SET LOCAL session_replication_role = replica")  # nobody asks each row what it refers to
        for sql in _TABLES.values():
            database.execute_sql(sql)
    database.execute_sql("VACUUM ANALYZE")


def since(days: float) -> Any:
    return NOW - timedelta(days=days)
