"""What goes up from the tables: frozen values, without a connection behind them.

Field names are those of the JSON output. A `Hidden` field serves the screens and rules and is not printed. What there
are ten thousand of is made with gc=False: nothing in it leads back to it, so nobody has to look for circles there.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, TypeVar, get_type_hints

from msgspec import Struct, convert

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

# Not as deep as it could be said: what reads JSON back into records knows no type that names itself.
Json = dict[str, Any] | list[Any] | str | int | float | bool | None
T = TypeVar("T")


_HIDDEN: Final = "hidden"
# A field that is part of the record but not of its JSON.
Hidden = Annotated[T, _HIDDEN]


class AdminRecord(Struct, frozen=True, kw_only=True):
    """Who works. `limits` is an operator's: up to which total they take money for an order, by currency; empty: any.

    `offices` are those that they work for, by name, as far as the reader may see them; None: all.
    """

    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    limits: tuple[Money, ...] = ()
    offices: tuple[str, ...] | None = None


class KeyRecord(Struct, frozen=True, kw_only=True):
    """A public key of SSH by which an admin logs in; `public_key` is its line without a comment."""

    admin: str
    type: str
    fingerprint: str
    public_key: str
    created_at: datetime


class ViewRecord(Struct, frozen=True, kw_only=True):
    """A filter of orders under a name, with its sort as text; the admin's own, or everyone's."""

    name: str
    filter: str
    sort: str
    shared: bool


class StateRecord(Struct, frozen=True, kw_only=True):
    """How an admin left the application: the mode, and the filter and sort of Payments, as text."""

    mode: str
    filter: str
    sort: str


class OfficeRecord(Struct, frozen=True, kw_only=True):
    """An office as the dashboard lists it; counts of today in the office's zone."""

    id: Hidden[int]
    name: str
    kind: OfficeKind
    timezone: str
    currency: str
    users: int
    inactive: int
    expiring: int
    expired: int
    unpaid: int


class UserRecord(Struct, frozen=True, kw_only=True, gc=False):
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
    pk: Hidden[int]
    subscription_pk: Hidden[int]
    anchor_day: Hidden[int | None]
    held_by: Hidden[str | None]  # number of the open order that holds the subscription


class InvoiceRecord(Struct, frozen=True, kw_only=True):
    number: str
    issued_on: date
    total: Money


class OrderSummary(Struct, frozen=True, kw_only=True):
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
    pk: Hidden[int]
    office_kind: Hidden[OfficeKind]
    version: Hidden[int]
    late: Hidden[bool]
    history: Hidden[bool]
    due: Hidden[bool]  # Processing, but its pay_by has passed


def to_json(value: Any, *, whole: bool = False) -> Any:
    """Plain JSON data: instants as ISO 8601 UTC with Z, dates as YYYY-MM-DD, money as {amount, currency}.

    Hidden fields are left out unless `whole`, which from_json needs to make the record again.
    """
    kind: Any = type(value)
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
    if isinstance(value, Struct):
        return {name: to_json(getattr(value, name), whole=whole) for name in _field_names(kind, whole)}
    return value


@cache
def _field_names(kind: type[Struct], whole: bool) -> tuple[str, ...]:
    if whole:
        return kind.__struct_fields__
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name in kind.__struct_fields__ if _HIDDEN not in getattr(hints[name], "__metadata__", ()))


def instant_text(instant: datetime) -> str:
    """ISO 8601 in UTC, with Z: 2026-11-22T09:31:17Z, and microseconds where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_json(kind: type[T], value: Any) -> T:
    """The value of type `kind` that to_json(whole=True) made `value` from."""
    return convert(value, kind)
