"""What goes up from the tables: frozen values, without a connection behind them.

Field names are those of the JSON output. A field marked `hidden` serves the screens and rules and is not printed.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from smartsub_tui.data.money import Money
from smartsub_tui.data.vocabulary import (
    OfficeKind,
    OrderStatus,
    OrderType,
    Role,
    Service,
    SubscriptionState,
    UserKind,
)

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
T = TypeVar("T")


def hidden(**options: Any) -> Any:
    """A field that is part of the record but not of its JSON."""
    return field(metadata={"hidden": True}, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRecord:
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRecord:
    """A filter of orders under a name, with its sort as text; the admin's own, or everyone's."""

    name: str
    filter: str
    sort: str
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRecord:
    """How an admin left the application: the mode, and the filter and sort of Payments, as text."""

    mode: str
    filter: str
    sort: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeRecord:
    """An office as the dashboard lists it; counts of today in the office's zone."""

    id: int = hidden()
    name: str
    kind: OfficeKind
    timezone: str
    currency: str
    users: int
    inactive: int
    expiring: int
    expired: int
    unpaid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """A person with the one subscription that the person's kind has."""

    id: str
    name: str
    office: str
    department: str
    kind: UserKind
    apartment: str | None
    service: Service
    state: SubscriptionState
    activated_on: date | None
    expires_on: date | None
    pk: int = hidden()
    subscription_pk: int = hidden()
    anchor_day: int | None = hidden()
    held_by: str | None = hidden()  # number of the open order that holds the subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRecord:
    number: str
    issued_on: date
    total: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSummary:
    """An order as lists show it. `net` and `tax` are null in imported history, `pay_by` in history."""

    number: str
    type: OrderType
    office: str
    status: OrderStatus
    apartments: int
    net: Money | None
    tax: Money | None
    total: Money
    created_at: datetime
    created_by: str
    pay_by: datetime | None
    paid_at: datetime | None
    months: int | None
    until: date | None
    next_expiration: date | None  # `until`, of community orders only
    po_number: str | None
    buyer_reference: str | None
    invoice: InvoiceRecord | None
    deleted: bool
    pk: int = hidden()
    office_kind: OfficeKind = hidden()
    version: int = hidden()
    late: bool = hidden()
    history: bool = hidden()
    due: bool = hidden()  # Processing, but its pay_by has passed


def to_json(value: Any, *, whole: bool = False) -> Any:
    """Plain JSON data: instants as ISO 8601 UTC with Z, dates as YYYY-MM-DD, money as {amount, currency}.

    Hidden fields are left out unless `whole`, which from_json needs to make the record again.
    """
    kind = type(value)
    if value is None or kind in (str, int, bool):
        return value
    if isinstance(value, Enum):
        return value.value
    if kind is datetime:
        return instant_text(value)
    if kind is date:
        return value.isoformat()
    if isinstance(value, (tuple, list)):
        return [to_json(each, whole=whole) for each in value]
    if isinstance(value, dict):
        return {key: to_json(each, whole=whole) for key, each in value.items()}
    if is_dataclass(kind):
        return {name: to_json(getattr(value, name), whole=whole) for name in _field_names(kind, whole)}
    return value


@cache
def _field_names(kind: type, whole: bool) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if whole or not each.metadata.get("hidden"))


def instant_text(instant: datetime) -> str:
    """ISO 8601 in UTC, with Z: 2026-11-22T09:31:17Z, and microseconds where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_json(kind: type[T], value: Any) -> T:
    """The value of type `kind` that to_json(whole=True) made `value` from."""
    return _decode(kind, value)  # type: ignore[no-any-return]


def _decode(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        options = [option for option in get_args(kind) if option is not type(None)]
        return _decode(options[0], value) if len(options) == 1 else value
    if origin is tuple:
        return tuple(_decode(get_args(kind)[0], each) for each in value)
    if not isinstance(kind, type):
        return value
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{each.name: _decode(hints[each.name], value[each.name]) for each in fields(kind)})
    if issubclass(kind, datetime):
        return datetime.fromisoformat(value)
    if issubclass(kind, date):
        return date.fromisoformat(value)
    if issubclass(kind, Enum):
        return kind(value)
    return value
