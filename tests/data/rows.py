"""Rows that the tables take, made anew for each test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smartsub_tui.data.models import (
    Admin,
    AdminKey,
    AdminLimit,
    AdminOffice,
    AdminPin,
    AuditEvent,
    Claim,
    Counter,
    Department,
    Invoice,
    LastState,
    Office,
    Order,
    OrderLine,
    Payment,
    Price,
    Refund,
    Request,
    SavedView,
    Subscription,
    User,
)
from smartsub_tui.data.vocabulary import (
    InvoiceKind,
    Lapsed,
    LineAction,
    OfficeKind,
    OrderStatus,
    OrderType,
    PaymentState,
    ProviderName,
    RefundState,
    Role,
    Service,
    UserKind,
)
from tests.support import NOW, TODAY


def an_office() -> Any:
    return Office.get_or_none() or Office.create(
        name="Oak", name_folded="oak", kind=OfficeKind.OFFICE, timezone="UTC", currency="EUR"
    )


def a_department() -> Any:
    return Department.get_or_none() or Department.create(office=an_office(), name="Sales", name_folded="sales")


_made = iter(range(10**9))


def a_user() -> Any:
    key = f"u{next(_made)}"
    return User.create(
        key=key,
        key_folded=key,
        office=an_office(),
        department=a_department(),
        name="Ann",
        name_folded="ann",
        kind=UserKind.USER,
    )


def a_subscription() -> Any:
    return Subscription.create(user=a_user(), service=Service.APP)


def an_admin() -> Any:
    return Admin.create(name=f"admin{next(_made)}", role=Role.VIEWER, created_at=NOW)


def an_order() -> Any:
    return Order.create(**VALID[Order]())


LISTED = {"filter_text": "is:late", "sort": "-created"}


def a_payment() -> Any:
    return Payment.create(**VALID[Payment]())


def a_credit_note() -> Any:
    return Invoice.create(**{**VALID[Invoice](), "kind": InvoiceKind.CREDIT_NOTE})


# What makes one of each table.
VALID: dict[Any, Callable[[], dict[str, Any]]] = {
    Office: lambda: {
        "name": "Elm",
        "name_folded": "elm",
        "kind": OfficeKind.OFFICE,
        "timezone": "UTC",
        "currency": "EUR",
    },
    Department: lambda: {"office": an_office(), "name": "Other", "name_folded": "other"},
    User: lambda: {
        "key": "u",
        "key_folded": "u",
        "office": an_office(),
        "department": a_department(),
        "name": "Ann",
        "name_folded": "ann",
        "kind": UserKind.USER,
    },
    Subscription: lambda: {
        "user": a_user(),
        "service": Service.APP,
        "activated_on": TODAY,
        "expires_on": TODAY,
        "anchor_day": 22,
        "opening_activated_on": TODAY,
        "opening_expires_on": TODAY,
        "opening_anchor_day": 22,
    },
    Price: lambda: {
        "service": Service.APP,
        "action": LineAction.MONTH,
        "amount": 500,
        "currency": "EUR",
        "tax_rate_ppm": 190_000,
        "valid_from": TODAY,
    },
    Order: lambda: {
        "number": f"n{next(_made)}",
        "office": an_office(),
        "type": OrderType.SUBSCRIPTION,
        "status": OrderStatus.PROCESSING,
        "status_since": NOW,
        "apartments": 1,
        "currency": "EUR",
        "net": 1000,
        "tax": 190,
        "total": 1190,
        "months": 2,
        "created_at": NOW,
        "created_by": "ann",
        "created_by_folded": "ann",
        "pay_by": NOW,
    },
    OrderLine: lambda: {
        "order": an_order(),
        "subscription": a_subscription(),
        "label": "Ann",
        "action": LineAction.DAY,
        "days": 3,
        "amount": 60,
        "tax_rate_ppm": 190_000,
        "previous_expiry": TODAY,
        "new_expiry": TODAY,
        "applied_on": TODAY,
        "lapsed": Lapsed.TODAY,
    },
    Claim: lambda: {"order": an_order(), "subscription": a_subscription()},
    Payment: lambda: {
        "order": an_order(),
        "provider": ProviderName.STRIPE,
        "state": PaymentState.CREATED,
        "idempotency_key": f"k{next(_made)}",
        "amount": 1190,
        "currency": "EUR",
        "created_at": NOW,
        "changed_at": NOW,
        "created_by": "ann",
    },
    Counter: lambda: {"series": "INV", "year": 2026, "last": 1},
    Invoice: lambda: {
        "order": an_order(),
        "kind": InvoiceKind.INVOICE,
        "number": f"INV-{next(_made)}",
        "series": "INV",
        "year": 2026,
        "sequence": next(_made) + 1,
        "issued_at": NOW,
        "issued_on": TODAY,
        "currency": "EUR",
        "net": 1000,
        "tax": 190,
        "total": 1190,
        "snapshot": "{}",
    },
    Refund: lambda: {
        "payment": a_payment(),
        "state": RefundState.CREATED,
        "idempotency_key": f"k{next(_made)}",
        "amount": 1190,
        "currency": "EUR",
        "reason": "twice",
        "created_at": NOW,
        "changed_at": NOW,
        "created_by": "ann",
    },
    Admin: lambda: {"name": "ann", "role": Role.VIEWER, "created_at": NOW},
    AdminLimit: lambda: {"admin": an_admin(), "currency": "EUR", "amount": 50000},
    AdminOffice: lambda: {"admin": an_admin(), "office": an_office()},
    AdminKey: lambda: {
        "admin": an_admin(),
        "fingerprint": "SHA256:k",
        "public_key": "ssh-ed25519 k",
        "created_at": NOW,
    },
    AdminPin: lambda: {"admin": an_admin(), "hash": "$argon2id$", "changed_at": NOW},
    SavedView: lambda: {"owner": an_admin(), "name": "late", "name_folded": "late", **LISTED},
    LastState: lambda: {"admin": an_admin(), "mode": "payments", **LISTED},
    AuditEvent: lambda: {"at": NOW, "admin": "ann", "source": "cli", "action": "create", "hash": ""},
    Request: lambda: {
        "id": "r",
        "admin": "ann",
        "command": "pay",
        "arguments": "",
        "result": "{}",
        "created_at": NOW,
    },
}
