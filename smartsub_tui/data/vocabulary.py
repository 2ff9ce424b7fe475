"""The words of the field: every closed list of values, each with the label that people read.

Values are what is stored and what the command line prints; labels are what screens and text tables show.
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from typing import Final, Self

# A subscription is expiring in its last days: as many as this, today included.
EXPIRING_DAYS: Final = 30


class Word(StrEnum):
    """A value of a closed list. `value` is stored, `label` is shown."""

    label: str

    def __new__(cls, value: str, label: str = "") -> Self:
        word = str.__new__(cls, value)
        word._value_ = value
        word.label = label
        return word


class OfficeKind(Word):
    OFFICE = "office", "office"
    COMMUNITY = "community", "community"

    @property
    def department_label(self) -> str:
        """A community calls its departments buildings."""
        return "Building" if self is OfficeKind.COMMUNITY else "Department"


class UserKind(Word):
    USER = "user", "user"
    PROPERTY_MANAGER = "property_manager", "property manager"
    FAMILY = "family", "family member"

    @property
    def service(self) -> Service:
        """The one service that this kind of person subscribes to."""
        return _SERVICE_OF_KIND[self]


class Service(Word):
    APP = "app", "app"
    PM_APP = "pm_app", "property manager app"
    ADDITIONAL_APP = "additional_app", "additional app"


_SERVICE_OF_KIND: Final = {
    UserKind.USER: Service.APP,
    UserKind.PROPERTY_MANAGER: Service.PM_APP,
    UserKind.FAMILY: Service.ADDITIONAL_APP,
}


class SubscriptionState(Word):
    """Derived from a subscription's dates and today in the office's zone; never stored."""

    INACTIVE = "inactive", "inactive"
    ACTIVE = "active", "active"
    EXPIRING = "expiring", "expiring"
    EXPIRED = "expired", "expired"
    REMOVED = "removed", "removed"

    @classmethod
    def on(cls, today: date, expires_on: date | None, removed_on: date | None = None) -> SubscriptionState:
        """The state on `today`, local to the office; `expires_on` is inclusive, None where never activated."""
        if removed_on is not None:
            return cls.REMOVED
        if expires_on is None:
            return cls.INACTIVE
        if expires_on < today:
            return cls.EXPIRED
        return cls.EXPIRING if expires_on < today + timedelta(days=EXPIRING_DAYS) else cls.ACTIVE


class OrderType(Word):
    ACTIVATION = "activation", "Activation"
    SUBSCRIPTION = "subscription", "Subscription"
    ADDITIONAL_APP = "additional_app", "Additional app"


class OrderStatus(Word):
    """The six statuses. `definition` says in the field's words what each means."""

    PROCESSING = "processing", "Processing"
    SYSTEM_PROCESSING = "system_processing", "System Processing"
    SUCCEED = "succeed", "Succeed"
    FAILED = "failed", "Failed"
    TIME_OUT = "time_out", "Time out"
    CANCEL = "cancel", "Cancel"

    @property
    def definition(self) -> str:
        return _DEFINITIONS[self]

    @property
    def is_open(self) -> bool:
        """Open orders hold their subscriptions: no other order can take them."""
        return self in (OrderStatus.PROCESSING, OrderStatus.SYSTEM_PROCESSING)


_DEFINITIONS: Final = {
    OrderStatus.PROCESSING: "created but not paid yet",
    OrderStatus.SYSTEM_PROCESSING: "being processed by the system after the payment was made",
    OrderStatus.SUCCEED: "paid",
    OrderStatus.FAILED: "not paid successfully",
    OrderStatus.TIME_OUT: "not paid in time, before its time-out",
    OrderStatus.CANCEL: "canceled",
}


class LineAction(Word):
    """What a line does to its subscription, and so which price it takes."""

    ACTIVATION = "activation", "activation"
    MONTH = "month", "renewal by the month"
    DAY = "day", "renewal by the day"


class ProviderName(Word):
    MANUAL = "manual", "manual"
    BANK = "bank", "bank transfer"
    STRIPE = "stripe", "Stripe"


class PaymentState(Word):
    CREATED = "created", "created"
    SENT = "sent", "link open"
    PENDING = "pending", "under way"
    SUCCEEDED = "succeeded", "succeeded"
    DECLINED = "declined", "declined"
    NOT_SENT = "not_sent", "not sent"
    UNKNOWN = "unknown", "outcome unknown"
    EXPIRED = "expired", "expired"
    REFUNDED = "refunded", "refunded"

    @property
    def is_live(self) -> bool:
        """A live payment may still take money: an order has at most one."""
        return self in LIVE_PAYMENT_STATES


LIVE_PAYMENT_STATES: Final = (
    PaymentState.CREATED,
    PaymentState.SENT,
    PaymentState.PENDING,
    PaymentState.UNKNOWN,
)


class RefundState(Word):
    """What became of money that is paid back."""

    CREATED = "created", "created"
    PENDING = "pending", "under way"
    SUCCEEDED = "succeeded", "paid back"
    DECLINED = "declined", "declined"
    UNKNOWN = "unknown", "outcome unknown"

    @property
    def is_live(self) -> bool:
        """It may still be paid back: a payment has at most one such refund."""
        return self in LIVE_REFUND_STATES


LIVE_REFUND_STATES: Final = (RefundState.CREATED, RefundState.PENDING, RefundState.UNKNOWN)


class InvoiceKind(Word):
    INVOICE = "invoice", "invoice"
    CREDIT_NOTE = "credit_note", "credit note"


class Lapsed(Word):
    """From when a renewal counts where the subscription had expired (setting `[orders] lapsed`)."""

    TODAY = "today", "from the day of payment"
    CONTINUOUS = "continuous", "from the old expiry"


class Role(Word):
    VIEWER = "viewer", "viewer"
    OPERATOR = "operator", "operator"
    MANAGER = "manager", "manager"
    AUDITOR = "auditor", "auditor"


class Trigger(Word):
    """What moves an order; the value is the name of the command and of the permission."""

    PAY = "pay", "pay"
    LINK = "link", "open a payment link"
    CONFIRM = "confirm", "confirm the money came"
    FAIL = "fail", "mark as failed"
    TIME_OUT = "time_out", "time out"
    AGAIN = "again", "order again at today's price"
    CANCEL = "cancel", "cancel"
    APPLY = "apply", "apply the waiting money"
    REFUND = "refund", "pay the waiting money back"
    CREDIT = "credit", "take back, with a credit note"
    DELETE = "delete", "delete"
    RESTORE = "restore", "restore"
    UNDER_WAY = "under_way", "hear that money is under way"
    ARRIVE = "arrive", "hear that money arrived"
    NOT_TAKEN = "not_taken", "hear that nothing was taken"
    DECLINE = "decline", "hear that the payment was declined"

    @property
    def is_offered(self) -> bool:
        """Whether it is offered by its own name: a link is a way to pay, others come of time and of answers."""
        return self not in _NOT_OFFERED


_NOT_OFFERED: Final = (
    Trigger.LINK,
    *(Trigger.TIME_OUT, Trigger.UNDER_WAY, Trigger.ARRIVE, Trigger.NOT_TAKEN, Trigger.DECLINE),
)


class Rank(Word):
    """What needs someone, the worst first: the lines of the dashboard's panel, and the parts of the triage queue."""

    UNKNOWN = "unknown", "payments with unknown outcome"
    UNAPPLIED = "unapplied", "money to apply"
    FAILED = "failed", "failed"
    TIMING_OUT = "timing_out", "time out within 2 hours"
    EXPIRING = "expiring", "expire in 30 days, no order"
