"""The floor of a payment on PostgreSQL: what smartsub sends when an order is paid, by psycopg and nothing else.

The same statements in the same order, with the same locks and the same rows, so that smartsub's own checks find nothing
wrong with them: the audit trail goes on with the right hash, the invoice has its snapshot. It knows one case: an order
of one person for so many months, its people not lapsed, paid in full by an admin who works for all offices.
"""

from __future__ import annotations

import calendar
import hashlib
import json
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg

_WRITERS: Final = 7_365_211_019_843_772  # smartsub's advisory lock of those who write
_LIVE: Final = ("created", "sent", "pending", "unknown")
_ADMIN: Final = (
    "SELECT id, name, role, created_at, disabled_at, EXISTS (SELECT 1 FROM admin_office WHERE admin_id = admin.id)"
    " FROM admin WHERE name = %s LIMIT 1"
)
_ORDER: Final = (
    "SELECT o.id, o.number, o.office_id, o.type, o.status, o.status_since, o.apartments, o.currency, o.net, o.tax,"
    " o.total, o.months, o.until, o.first_term_months, o.po_number, o.buyer_reference, o.created_at, o.created_by,"
    " o.created_by_folded, o.pay_by, o.bank_chosen_at, o.paid_at, o.late, o.history, o.imported_at, o.made_from_id,"
    " o.deleted_at, o.version, f.id, f.name, f.name_folded, f.kind, f.timezone, f.currency"
    " FROM orders o JOIN office f ON o.office_id = f.id WHERE o.number = %s LIMIT 1"
)
_OF_OFFICE: Final = 28  # where its columns begin
_PAYMENT: Final = (
    "id, order_id, provider, state, idempotency_key, reference, amount, currency, link, expires_at, created_at,"
    " changed_at, created_by, applied, charge, confirmation, ask_at, asked, contested"
)


def instant_text(microseconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Bare:
    """One client with its connection, as psycopg makes it: what is asked often is prepared on the server."""

    def __init__(self, url: str, admin: str) -> None:
        self._connection: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)
        self._ask = self._connection.execute
        self._admin = admin

    def close(self) -> None:
        self._connection.close()

    def pay(self, number: str, reference: str) -> bool:
        """Whether it was paid here; False where it was paid already."""
        ask = self._ask
        if ask("SELECT status FROM orders WHERE number = %s", (number,)).fetchall()[0][0] == "succeed":
            ask(_ADMIN, (self._admin,)).fetchall()
            return False
        ask(
            "SELECT EXISTS (SELECT id FROM orders WHERE status = %s AND pay_by <= %s AND NOT EXISTS (SELECT p.id FROM"
            " payment p WHERE p.order_id = orders.id AND p.state IN (%s, %s, %s, %s))) LIMIT 1",
            ("processing", time.time_ns() // 1000, *_LIVE),
        ).fetchall()
        ask(
            "BEGIN; SET LOCAL lock_timeout = '10000ms'; SET LOCAL idle_in_transaction_session_timeout = '60s';"
            " SET LOCAL statement_timeout = '60s'; NOTIFY smartsub;"
            f" SELECT pg_advisory_xact_lock({_WRITERS})"
        )
        paid = self._paid(number, reference)
        ask("COMMIT" if paid else "ROLLBACK")
        return paid

    def _paid(self, number: str, reference: str) -> bool:
        ask, now = self._ask, time.time_ns() // 1000
        ask("SELECT max(name) FROM schema_migration").fetchall()
        ask(_ADMIN, (self._admin,)).fetchall()
        order = ask(_ORDER, (number,)).fetchall()[0]
        key, office, status = order[0], order[_OF_OFFICE:], order[4]
        if status == "succeed":
            return False
        lines = self._facts(key)
        ((_, subscription, action, amount, rate, user, label, department, apartment, service, *dates),) = lines
        activated_on, expires_on, anchor_day, _, _ = dates
        currency, _, _, total, months = order[7:12]
        attempts = ask(f"SELECT {_PAYMENT} FROM payment WHERE order_id = %s", (key,)).fetchall()
        ask(
            "INSERT INTO payment (order_id, provider, state, idempotency_key, reference, amount, currency, created_at,"
            " changed_at, created_by, applied, asked, contested)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                *(key, "manual", "succeeded", f"smartsub-{number}-{len(attempts) + 1}", reference, total, currency),
                *(now, now, self._admin, True, 0, False),
            ),
        ).fetchall()
        moved = ask(
            "UPDATE orders SET status = %s, status_since = %s, paid_at = %s, late = %s, version = version + 1"
            " WHERE id = %s AND version = %s AND status = %s",
            ("succeed", now, now, False, key, order[27], status),
        )
        if moved.rowcount != 1:
            raise RuntimeError(f"order {number} was changed by someone else")
        today = datetime.fromtimestamp(now / 1e6, ZoneInfo(office[4])).date()
        expires = self._extended(subscription, activated_on, expires_on, anchor_day, months)
        ask(
            "UPDATE order_line SET previous_expiry = v.c0::date, new_expiry = v.c1::date, applied_on = v.c2::date,"
            " lapsed = v.c3::varchar FROM (VALUES (%s, %s, %s, %s, %s, %s)) AS v (c0, c1, c2, c3, c4, c5)"
            " WHERE order_line.order_id = v.c4::bigint AND order_line.subscription_id = v.c5::bigint",
            (expires_on, expires, today, "today", key, subscription),
        )
        ask("DELETE FROM claim WHERE order_id = %s", (key,))
        line = {
            "user_id": user,
            "label": label,
            "department": department,
            "apartment": apartment,
            "service": service,
            "action": action,
            "amount": amount,
            "tax_rate_ppm": rate,
            "previous_expiry": expires_on.isoformat(),
            "new_expiry": expires.isoformat(),
            "starts_on": (expires_on + timedelta(1)).isoformat(),
        }
        invoice = self._invoiced(order, office, now, reference, line)
        self._recorded(key, now, {"amount": total, "currency": currency}, reference, invoice)
        self._details(key)
        return True

    def _facts(self, key: int) -> list[Any]:
        """What is read of an order before it is decided; its lines."""
        ask = self._ask
        lines: list[Any] = ask(
            "SELECT l.order_id, l.subscription_id, l.action, l.amount, l.tax_rate_ppm, u.key, l.label, d.name,"
            " u.apartment, s.service, s.activated_on, s.expires_on, s.anchor_day, u.removed_on,"
            " l.credit_note_id IS NOT NULL FROM order_line l"
            " JOIN subscription s ON l.subscription_id = s.id JOIN users u ON s.user_id = u.id"
            " JOIN department d ON u.department_id = d.id WHERE l.order_id IN (%s) ORDER BY l.order_id, l.id",
            (key,),
        ).fetchall()
        ask(
            "SELECT l.order_id, o.number, count(l.id) - count(l.credit_note_id) FROM order_line l"
            " JOIN claim c ON c.subscription_id = l.subscription_id JOIN orders o ON c.order_id = o.id"
            " WHERE l.order_id IN (%s) AND c.order_id != l.order_id GROUP BY l.order_id, o.number ORDER BY o.number",
            (key,),
        ).fetchall()
        ask(
            "SELECT order_id, provider, state, amount, currency, applied FROM payment WHERE order_id IN (%s)"
            " ORDER BY id",
            (key,),
        ).fetchall()
        return lines

    def _extended(self, subscription: int, activated_on: date, expires_on: date, anchor: int, months: int) -> date:
        """So many months more; the new expiry."""
        whole = expires_on.year * 12 + expires_on.month - 1 + months
        year, month = divmod(whole, 12)
        expires = date(year, month + 1, min(anchor, calendar.monthrange(year, month + 1)[1]))
        self._ask(
            "UPDATE subscription SET activated_on = v.c0::date, expires_on = v.c1::date, anchor_day = v.c2::smallint"
            " FROM (VALUES (%s, %s, %s, %s)) AS v (c0, c1, c2, c3) WHERE subscription.id = v.c3::bigint",
            (activated_on, expires, anchor, subscription),
        )
        return expires

    def _invoiced(self, order: Any, office: Any, now: int, reference: str, line: dict[str, Any]) -> str:
        """The number of the invoice."""
        day = datetime.fromtimestamp(now / 1e6, UTC).date()
        ((sequence,),) = self._ask(
            "INSERT INTO counter (series, year, last) VALUES (%s, %s, %s) ON CONFLICT (series, year)"
            " DO UPDATE SET last = counter.last + 1 RETURNING counter.last",
            ("INV", day.year, 1),
        ).fetchall()
        currency, net, tax, total, months = order[7:12]
        number = f"INV-{day.year}-{sequence:06d}"
        snapshot = {
            "seller": {"name": "", "address": "", "vat_id": "", "iban": "", "email": ""},
            "buyer": {"office": office[1], "kind": office[3]},
            "order": {
                "number": order[1],
                "type": order[3],
                "created_at": instant_text(order[16]),
                "paid_at": instant_text(now),
                "months": months,
                "until": None,
                "first_term_months": None,
            },
            "references": {"po_number": None, "buyer_reference": None},
            "payment": {"provider": "manual", "reference": reference},
            "currency": currency,
            "lines": [line],
            "tax": [{"rate_ppm": line["tax_rate_ppm"], "net": net, "tax": tax}],
            "net": net,
            "tax_total": tax,
            "total": total,
        }
        self._ask(
            "INSERT INTO invoice (order_id, kind, number, series, year, sequence, issued_at, issued_on, currency, net,"
            " tax, total, snapshot) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                *(order[0], "invoice", number, "INV", day.year, sequence, now, day, currency, net, tax, total),
                json.dumps(snapshot, ensure_ascii=False, separators=(",", ":")),
            ),
        ).fetchall()
        return number

    def _recorded(self, key: int, now: int, amount: dict[str, Any], reference: str, invoice: str) -> None:
        before, after = (
            json.dumps(each, ensure_ascii=False, separators=(",", ":"))
            for each in (
                {"status": "processing"},
                {"status": "succeed", "amount": amount, "reference": reference, "invoice": invoice, "late": False},
            )
        )
        ((head,),) = self._ask("SELECT hash FROM audit_event ORDER BY id DESC LIMIT %s", (1,)).fetchall()
        values = (now, self._admin, "cli", "pay", key, None, before, after, None, None)
        linked = hashlib.sha256(json.dumps([head, *values], separators=(",", ":")).encode()).hexdigest()
        self._ask(
            "INSERT INTO audit_event (at, admin, source, action, order_id, subject, before, after, reason, request_id,"
            " hash) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (*values, linked),
        ).fetchall()

    def _details(self, key: int) -> None:
        """The order as it is after."""
        ask = self._ask
        ask(f"SELECT {_PAYMENT} FROM payment WHERE order_id = %s ORDER BY id", (key,)).fetchall()
        ask(
            "SELECT o.id, o.number, o.type, o.status, o.apartments, o.currency, o.net, o.tax, o.total, o.created_at,"
            " o.created_by, o.pay_by, o.paid_at, o.months, o.until, o.deleted_at, o.late, o.history, o.version, f.name,"
            " f.kind, i.number, i.issued_on, i.total, o.po_number, o.buyer_reference FROM orders o"
            " JOIN office f ON o.office_id = f.id LEFT JOIN invoice i ON i.order_id = o.id AND i.kind = %s"
            " WHERE o.id = %s",
            ("invoice", key),
        ).fetchall()
        ask(
            "SELECT u.key, l.label, s.service, l.amount, l.action, l.previous_expiry, l.new_expiry, s.activated_on,"
            " s.expires_on, s.anchor_day, u.removed_on, i.number FROM order_line l"
            " JOIN subscription s ON l.subscription_id = s.id JOIN users u ON s.user_id = u.id"
            " LEFT JOIN invoice i ON l.credit_note_id = i.id WHERE l.order_id = %s ORDER BY l.id",
            (key,),
        ).fetchall()
        ask(
            "SELECT id, at, admin, source, action, order_id, subject, before, after, reason, request_id, hash"
            " FROM audit_event WHERE order_id = %s ORDER BY id",
            (key,),
        ).fetchall()
        ask(
            "SELECT number, issued_on, total FROM invoice WHERE order_id = %s AND kind = %s ORDER BY id",
            (key, "credit_note"),
        ).fetchall()
        payment = ", ".join(f"p.{each}" for each in _PAYMENT.split(", "))
        ask(
            "SELECT r.id, r.payment_id, r.credit_note_id, r.state, r.idempotency_key, r.reference, r.amount,"
            f" r.currency, r.reason, r.created_at, r.changed_at, r.created_by, r.ask_at, r.asked, {payment}"
            " FROM refund r JOIN payment p ON r.payment_id = p.id WHERE p.order_id = %s ORDER BY r.id",
            (key,),
        ).fetchall()
