"""The tables. What must never be stored is refused by the database itself: see the constraints of each table.

Money columns are minor units of the row's currency. Instants are InstantField, service dates are local dates in the
office's time zone. A column named *_folded holds `text.folded` of its neighbour, so that both engines compare alike.
Nothing above `data` and `billing` sees these classes: records go up (see `records`).
"""

from __future__ import annotations

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    Check,
    CompositeKey,
    DatabaseProxy,
    ForeignKeyField,
    IntegerField,
    Model,
    NodeList,
    SmallIntegerField,
    TextField,
)

from smartsub_tui.data.fields import DayField, InstantField, WordField
from smartsub_tui.data.vocabulary import (
    LIVE_PAYMENT_STATES,
    LIVE_REFUND_STATES,
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
    Word,
)

proxy = DatabaseProxy()


def _among(column: str, words: type[Word]) -> SQL | NodeList:
    values = ", ".join(f"'{word.value}'" for word in words)
    return Check(f"{column} IN ({values})")


class Table(Model):
    id = AutoField()

    class Meta:
        database = proxy
        legacy_table_names = False


class Office(Table):
    name = TextField(unique=True)
    name_folded = TextField(index=True)
    kind = WordField(OfficeKind)
    timezone = TextField()
    currency = CharField(3)

    class Meta:
        constraints = [_among("kind", OfficeKind), Check("name <> ''"), Check("length(currency) = 3")]


class Department(Table):
    """Part of an office; in a community it is shown as a building."""

    office = ForeignKeyField(Office, backref="departments", on_delete="RESTRICT")
    name = TextField()
    name_folded = TextField(index=True)

    class Meta:
        indexes = ((("office", "name"), True),)
        constraints = [Check("name <> ''")]


class User(Table):
    key = TextField(unique=True)  # the import's user_id, called `id` in every output
    key_folded = TextField(index=True)
    office = ForeignKeyField(Office, backref="users", on_delete="RESTRICT", index=False)
    department = ForeignKeyField(Department, backref="users", on_delete="RESTRICT")
    name = TextField()
    name_folded = TextField(index=True)
    email = TextField(default="")
    kind = WordField(UserKind)
    apartment = TextField(null=True)
    removed_on = DayField(null=True)

    class Meta:
        table_name = "users"  # `user` is a reserved word of PostgreSQL
        indexes = ((("office", "name_folded"), False),)
        constraints = [_among("kind", UserKind), Check("key <> ''"), Check("name <> ''")]


class Subscription(Table):
    """One user's right to one service.

    `opening_*` is the state before the first order here touched it: a credit note replays the ledger from there.
    """

    user = ForeignKeyField(User, backref="subscriptions", on_delete="RESTRICT", index=False)
    service = WordField(Service)
    activated_on = DayField(null=True)
    expires_on = DayField(null=True)
    anchor_day = SmallIntegerField(null=True)
    opening_activated_on = DayField(null=True)
    opening_expires_on = DayField(null=True)
    opening_anchor_day = SmallIntegerField(null=True)

    class Meta:
        indexes = ((("user", "service"), True), (("expires_on",), False))
        constraints = [
            _among("service", Service),
            Check("(activated_on IS NULL) = (expires_on IS NULL)"),
            Check("(activated_on IS NULL) = (anchor_day IS NULL)"),
            Check("anchor_day BETWEEN 1 AND 31"),
            Check("(opening_activated_on IS NULL) = (opening_expires_on IS NULL)"),
            Check("(opening_activated_on IS NULL) = (opening_anchor_day IS NULL)"),
        ]


class Price(Table):
    """A row of the price list; amounts are net, the rate is in parts per million (190000 is 19 %)."""

    service = WordField(Service)
    action = WordField(LineAction)
    amount = BigIntegerField()
    currency = CharField(3)
    office_kind = WordField(OfficeKind, null=True)  # null: both kinds
    tax_rate_ppm = IntegerField()
    valid_from = DayField()

    class Meta:
        constraints = [
            _among("service", Service),
            _among("action", LineAction),
            _among("office_kind", OfficeKind),
            Check("amount >= 0"),
            Check("tax_rate_ppm BETWEEN 0 AND 1000000"),
            Check("length(currency) = 3"),
        ]


# NULLs are distinct in a unique index, so the kind goes in as text.
Price.add_index(
    SQL(
        "CREATE UNIQUE INDEX IF NOT EXISTS price_row ON price"
        " (service, action, currency, COALESCE(office_kind, ''), valid_from)"
    )
)


class Order(Table):
    """One transaction: lines of one office and one type.

    `history` marks what was imported closed: it stands as it was stated, and moves nothing. `net` and `tax` are
    unknown there. `version` counts changes; a conditional UPDATE on it decides races.
    """

    number = TextField(unique=True)
    office = ForeignKeyField(Office, backref="orders", on_delete="RESTRICT", index=False)
    type = WordField(OrderType)
    status = WordField(OrderStatus)
    status_since = InstantField()
    apartments = IntegerField()
    currency = CharField(3)
    net = BigIntegerField(null=True)
    tax = BigIntegerField(null=True)
    total = BigIntegerField()
    months = SmallIntegerField(null=True)  # renewal by the month
    until = DayField(null=True)  # renewal by the day
    first_term_months = SmallIntegerField(null=True)  # activation: the term that its price covers
    po_number = TextField(null=True)  # the buyer's own words for the order, which the invoice repeats
    buyer_reference = TextField(null=True)
    created_at = InstantField()
    created_by = TextField()
    created_by_folded = TextField()
    pay_by = InstantField(null=True)
    bank_chosen_at = InstantField(null=True)
    paid_at = InstantField(null=True)
    late = BooleanField(default=False)
    history = BooleanField(default=False)
    imported_at = InstantField(null=True)
    made_from = ForeignKeyField("self", null=True, backref="successors", on_delete="RESTRICT")
    deleted_at = InstantField(null=True)
    version = IntegerField(default=1)

    class Meta:
        table_name = "orders"  # `order` is a reserved word
        constraints = [
            _among("type", OrderType),
            _among("status", OrderStatus),
            Check("number <> ''"),
            Check("apartments >= 0"),
            Check("length(currency) = 3"),
            Check("total >= 0 AND net >= 0 AND tax >= 0"),
            Check("net + tax = total"),
            Check("history OR (net IS NOT NULL AND tax IS NOT NULL)"),
            Check("po_number <> '' AND buyer_reference <> ''"),
            Check("months BETWEEN 1 AND 60"),
            Check("first_term_months BETWEEN 1 AND 60"),
            Check("months IS NULL OR until IS NULL"),
            Check("status <> 'processing' OR pay_by IS NOT NULL"),
            Check("history OR (status = 'succeed') = (paid_at IS NOT NULL)"),
            Check("NOT history OR status NOT IN ('processing', 'system_processing')"),
            Check("deleted_at IS NULL OR status NOT IN ('processing', 'system_processing')"),
            Check("NOT late OR status = 'succeed'"),
            Check("version >= 1"),
        ]


# What lists show leaves hidden orders out, and so do their indexes. That of the creation holds all that a search for a
# part of a number and its counts look at. deleted_at stands in them, always NULL: else SQLite reads each row for it.
for _name, _columns in {
    "orders_created": "created_at, id, number, type, status, deleted_at",
    "orders_status": "status, created_at, id, deleted_at",
    "orders_type": "type, created_at, id, deleted_at",
    "orders_type_status": "type, status, created_at, id, deleted_at",
    "orders_office": "office_id, created_at, id, deleted_at",
}.items():
    Order.add_index(SQL(f"CREATE INDEX IF NOT EXISTS {_name} ON orders ({_columns}) WHERE deleted_at IS NULL"))
# Those that only some filters ask for: what is hidden, and what failed of late.
Order.add_index(
    SQL("CREATE INDEX IF NOT EXISTS orders_deleted ON orders (created_at, id) WHERE deleted_at IS NOT NULL")
)
Order.add_index(SQL("CREATE INDEX IF NOT EXISTS orders_failed ON orders (status_since, id) WHERE status = 'failed'"))
Order.add_index(SQL("CREATE INDEX IF NOT EXISTS orders_pay_by ON orders (pay_by, id) WHERE status = 'processing'"))
Order.add_index(
    SQL("CREATE INDEX IF NOT EXISTS orders_under_way ON orders (status_since, id) WHERE status = 'system_processing'")
)


class Claim(Model):
    """An open order's hold on a subscription: the primary key lets only one order have it."""

    subscription = ForeignKeyField(Subscription, primary_key=True, on_delete="RESTRICT")
    order = ForeignKeyField(Order, backref="claims", on_delete="RESTRICT")

    class Meta:
        database = proxy
        legacy_table_names = False


class Payment(Table):
    """One attempt to pay an order. `applied`: its money made the order Succeed; succeeded and not applied: it waits.

    `reference` is the provider's name of what was opened, `charge` that of the money, which a refund names;
    `confirmation` is what someone knew the money by who did not wait for the provider. At `ask_at`
    the provider is to be asked again; so often it was `asked` since the state is what it is. `contested`: someone
    confirmed the money, and the provider says that there is none, or, where there is a charge, that it is not as much.
    """

    order = ForeignKeyField(Order, backref="payments", on_delete="RESTRICT")
    provider = WordField(ProviderName)
    state = WordField(PaymentState)
    idempotency_key = TextField(unique=True)
    reference = TextField(null=True)
    amount = BigIntegerField()
    currency = CharField(3)
    link = TextField(null=True)
    expires_at = InstantField(null=True)
    created_at = InstantField()
    changed_at = InstantField()
    created_by = TextField()
    applied = BooleanField(default=False)
    charge = TextField(null=True)
    confirmation = TextField(null=True)
    ask_at = InstantField(null=True)
    asked = SmallIntegerField(default=0)
    contested = BooleanField(default=False)

    class Meta:
        constraints = [
            _among("provider", ProviderName),
            _among("state", PaymentState),
            Check("amount >= 0"),
            Check("length(currency) = 3"),
            Check("NOT applied OR state = 'succeeded'"),
        ]

    @property
    def never_came(self) -> bool:
        """Whether someone confirmed the money, and the provider says that there is none."""
        return self.contested and self.charge is None


_LIVE = ", ".join(f"'{state.value}'" for state in LIVE_PAYMENT_STATES)
Payment.add_index(
    SQL(f"CREATE UNIQUE INDEX IF NOT EXISTS payment_one_live ON payment (order_id) WHERE state IN ({_LIVE})")
)
Payment.add_index(SQL("CREATE UNIQUE INDEX IF NOT EXISTS payment_one_applied ON payment (order_id) WHERE applied"))
Payment.add_index(
    SQL("CREATE INDEX IF NOT EXISTS payment_unapplied ON payment (order_id) WHERE state = 'succeeded' AND NOT applied")
)


Payment.add_index(SQL("CREATE INDEX IF NOT EXISTS payment_ask_at ON payment (ask_at, id) WHERE ask_at IS NOT NULL"))
Payment.add_index(SQL("CREATE INDEX IF NOT EXISTS payment_contested ON payment (order_id) WHERE contested"))


class Counter(Model):
    """The last number given in a series and year. It is locked by the transaction that numbers: no gaps, no twins."""

    series = TextField()
    year = SmallIntegerField()
    last = IntegerField()

    class Meta:
        database = proxy
        legacy_table_names = False
        primary_key = CompositeKey("series", "year")
        constraints = [Check("last >= 1")]


class Invoice(Table):
    """The immutable document of a succeeded order, or a credit note that corrects it.

    `snapshot` is JSON: seller, buyer, lines and tax as they were, so that a later change of names changes nothing.
    """

    order = ForeignKeyField(Order, backref="invoices", on_delete="RESTRICT")
    kind = WordField(InvoiceKind)
    number = TextField(unique=True)
    series = TextField()
    year = SmallIntegerField()
    sequence = IntegerField()
    issued_at = InstantField()
    issued_on = DayField()
    currency = CharField(3)
    net = BigIntegerField()
    tax = BigIntegerField()
    total = BigIntegerField()
    snapshot = TextField()

    class Meta:
        indexes = ((("series", "year", "sequence"), True),)
        constraints = [
            _among("kind", InvoiceKind),
            Check("sequence >= 1"),
            Check("net >= 0 AND tax >= 0 AND net + tax = total"),
        ]


Invoice.add_index(
    SQL("CREATE UNIQUE INDEX IF NOT EXISTS invoice_one_per_order ON invoice (order_id) WHERE kind = 'invoice'")
)


class OrderLine(Table):
    """One subscription in one order, with label and price as they were when it was ordered.

    `amount` is net. `applied_on` is the local day on which the money was applied, `lapsed` the setting of that moment:
    with the line's own term they are all that a replay of the ledger needs. A line with a `credit_note` was taken back.
    """

    order = ForeignKeyField(Order, backref="lines", on_delete="RESTRICT", index=False)
    subscription = ForeignKeyField(Subscription, backref="lines", on_delete="RESTRICT")
    label = TextField()
    action = WordField(LineAction, null=True)  # null in history, which does not say
    days = IntegerField(null=True)  # renewal by the day: what was priced
    amount = BigIntegerField(null=True)
    tax_rate_ppm = IntegerField(null=True)
    previous_expiry = DayField(null=True)
    new_expiry = DayField(null=True)
    applied_on = DayField(null=True)
    lapsed = WordField(Lapsed, null=True)
    credit_note = ForeignKeyField(Invoice, null=True, backref="credited_lines", on_delete="RESTRICT")

    class Meta:
        indexes = ((("order", "subscription"), True),)
        constraints = [
            _among("action", LineAction),
            _among("lapsed", Lapsed),
            Check("amount >= 0"),
            Check("tax_rate_ppm BETWEEN 0 AND 1000000"),
            Check("(action = 'day') = (days IS NOT NULL)"),
            Check("days >= 1"),
            Check("(applied_on IS NULL) = (new_expiry IS NULL)"),
            Check("(applied_on IS NULL) = (lapsed IS NULL)"),
            Check("credit_note_id IS NULL OR applied_on IS NOT NULL"),
            Check("new_expiry >= previous_expiry"),
        ]


class Refund(Table):
    """Money of one payment that is paid back: money that could not be applied, or what a credit note takes back.

    `reference` is the provider's name of it, or what says that it was paid out by hand. At `ask_at` the provider is to
    be asked again.
    """

    payment = ForeignKeyField(Payment, backref="refunds", on_delete="RESTRICT")
    credit_note = ForeignKeyField(Invoice, null=True, backref="refunds", on_delete="RESTRICT", index=False)
    state = WordField(RefundState)
    idempotency_key = TextField(unique=True)
    reference = TextField(null=True)
    amount = BigIntegerField()
    currency = CharField(3)
    reason = TextField()
    created_at = InstantField()
    changed_at = InstantField()
    created_by = TextField()
    ask_at = InstantField(null=True)
    asked = SmallIntegerField(default=0)

    class Meta:
        constraints = [_among("state", RefundState), Check("amount > 0"), Check("length(currency) = 3")]


_LIVE_REFUND = ", ".join(f"'{state.value}'" for state in LIVE_REFUND_STATES)
Refund.add_index(
    # Several credit notes of an order may be owed at once: each of them is one live refund of the same payment.
    SQL(
        "CREATE UNIQUE INDEX IF NOT EXISTS refund_one_live ON refund (payment_id, coalesce(credit_note_id, 0))"
        f" WHERE state IN ({_LIVE_REFUND})"
    )
)
Refund.add_index(SQL("CREATE INDEX IF NOT EXISTS refund_ask_at ON refund (ask_at, id) WHERE ask_at IS NOT NULL"))
Refund.add_index(SQL("CREATE INDEX IF NOT EXISTS refund_declined ON refund (payment_id) WHERE state = 'declined'"))


class Admin(Table):
    """Who works with smartsub."""

    name = TextField(unique=True)
    role = WordField(Role)
    created_at = InstantField()
    disabled_at = InstantField(null=True)

    class Meta:
        constraints = [_among("role", Role), Check("name <> ''")]


class AdminLimit(Table):
    """Up to which total an operator takes money for an order, in one currency; without any row, up to any."""

    admin = ForeignKeyField(Admin, backref="limits", on_delete="RESTRICT", index=False)
    currency = CharField(3)
    amount = BigIntegerField()

    class Meta:
        indexes = ((("admin", "currency"), True),)
        constraints = [Check("amount >= 0"), Check("length(currency) = 3")]


class AdminOffice(Table):
    """An office that an admin works for; without any row, all of them."""

    admin = ForeignKeyField(Admin, backref="offices", on_delete="RESTRICT", index=False)
    office = ForeignKeyField(Office, on_delete="RESTRICT")

    class Meta:
        indexes = ((("admin", "office"), True),)


class AdminKey(Table):
    """A public key of SSH by which an admin logs in; `fingerprint` is that of OpenSSH, "SHA256:..."."""

    admin = ForeignKeyField(Admin, backref="keys", on_delete="RESTRICT")
    fingerprint = TextField(unique=True)
    public_key = TextField()  # its type and its Base64, one space between
    created_at = InstantField()

    class Meta:
        constraints = [Check("fingerprint <> ''"), Check("public_key <> ''")]


class AdminPin(Table):
    """What opens an admin's locked screen, as an argon2 hash; behind `failures` none is tried before `wait_until`."""

    admin = ForeignKeyField(Admin, backref="pins", on_delete="RESTRICT", unique=True)
    hash = TextField()
    failures = SmallIntegerField(default=0)
    wait_until = InstantField(null=True)
    changed_at = InstantField()

    class Meta:
        constraints = [Check("hash <> ''"), Check("failures >= 0")]


class SavedView(Table):
    """A filter of orders under a name, as text, with its sort; without an owner it is everyone's."""

    owner = ForeignKeyField(Admin, null=True, backref="views", on_delete="RESTRICT", index=False)
    name = TextField()
    name_folded = TextField()
    filter_text = TextField()
    sort = TextField()

    class Meta:
        constraints = [Check("name <> ''")]


# NULLs are distinct in a unique index: what is everyone's has the owner 0, whom no admin is.
SavedView.add_index(
    SQL("CREATE UNIQUE INDEX IF NOT EXISTS saved_view_name ON saved_view (COALESCE(owner_id, 0), name_folded)")
)


class LastState(Model):
    """How an admin left the application: the mode, and the filter and sort of Payments, as text."""

    admin = ForeignKeyField(Admin, primary_key=True, on_delete="RESTRICT")
    mode = TextField()
    filter_text = TextField()
    sort = TextField()

    class Meta:
        database = proxy
        legacy_table_names = False


class AuditEvent(Table):
    """One append-only row per change: who, from where, what, before, after. No code updates or deletes these rows.

    `hash` is over the event and the hash of the one before (docs/audit.md).
    """

    at = InstantField()
    admin = TextField()
    source = TextField()
    action = TextField()
    order = ForeignKeyField(Order, null=True, backref="events", on_delete="RESTRICT", index=False)
    subject = TextField(null=True)  # what it is about where that is no order: a file, a user, an office
    before = TextField(null=True)  # JSON
    after = TextField(null=True)  # JSON
    reason = TextField(null=True)
    request_id = TextField(null=True)
    hash = TextField()

    class Meta:
        indexes = ((("order", "id"), False),)


class Request(Model):
    """The result of a write command, stored in its own transaction: a repeat of the command returns it."""

    id = TextField(primary_key=True)
    admin = TextField()
    command = TextField()
    arguments = TextField()  # SHA-256 of the canonical arguments
    result = TextField()  # JSON
    created_at = InstantField()

    class Meta:
        database = proxy
        legacy_table_names = False


# Rows of these are neither changed nor removed, by triggers, and on a server by the rights of who works there.
APPEND_ONLY = ("audit_event", "invoice")

# Columns of which a part is sought. Where the engine has an index for that, no script makes it: it may come later.
SEARCHED = {"orders": ("number",), "users": ("name_folded", "key_folded")}

TABLES = (
    Office,
    Department,
    User,
    Subscription,
    Price,
    Order,
    OrderLine,
    Claim,
    Payment,
    Counter,
    Invoice,
    Refund,
    Admin,
    AdminLimit,
    AdminOffice,
    AdminKey,
    AdminPin,
    SavedView,
    LastState,
    AuditEvent,
    Request,
)
