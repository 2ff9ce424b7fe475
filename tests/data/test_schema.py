"""The schema: what the migrations make, and the states that the database itself refuses to store."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import peewee
import pytest

from smartsub_tui.data import models
from smartsub_tui.data.database import (
    migrate,
    open_database,
)
from smartsub_tui.data.models import (
    Admin,
    AdminKey,
    AdminLimit,
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
from smartsub_tui.data.sqlite import SqliteDatabase
from smartsub_tui.data.vocabulary import (
    InvoiceKind,
    LineAction,
    OfficeKind,
    OrderStatus,
    PaymentState,
    RefundState,
    Service,
)
from tests import postgres
from tests.data.rows import (
    VALID,
    a_credit_note,
    a_department,
    a_payment,
    a_subscription,
    a_user,
    an_admin,
    an_office,
    an_order,
)
from tests.support import NOW, TODAY, dump


@pytest.mark.sqlite("its own words for a schema")
def test_the_migrations_make_what_the_models_say() -> None:
    """Statement by statement; beside it stand the list of migrations and the triggers."""

    def schema(database: SqliteDatabase) -> set[tuple[str, str, str | None]]:
        return set(database.execute_sql("SELECT type, name, sql FROM sqlite_master").fetchall())

    with closing(open_database("sqlite:///:memory:", create=True)) as migrated:
        found = schema(migrated)
    plain = SqliteDatabase(":memory:", autoconnect=False)
    plain.connect()
    models.proxy.initialize(plain)
    with closing(plain):
        plain.create_tables(models.TABLES)
        expected = schema(plain)
    triggers = {name for kind, name, _ in found if kind == "trigger"}
    assert triggers == {f"{table}_no_{event}" for table in ("audit_event", "invoice") for event in ("update", "delete")}
    rest = {
        row for row in found if row[0] != "trigger" and "schema_migration" not in row[1] and "history" not in row[1]
    }
    assert rest == expected
    assert all(model in models.TABLES for model in models.Table.__subclasses__())


def test_migrating_again_does_nothing(database: SqliteDatabase) -> None:
    before = dump(database)
    assert migrate(database) == []
    assert dump(database) == before


@pytest.mark.sqlite("its own settings")
def test_a_migration_that_would_break_a_reference_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_parents.py").write_text(
        "def up(migrator, db):\n"
        "    db.execute_sql('CREATE TABLE parent (id INTEGER PRIMARY KEY)')\n"
        "    db.execute_sql('CREATE TABLE child (parent INTEGER REFERENCES parent (id))')\n"
    )
    monkeypatch.setattr("smartsub_tui.data.database.MIGRATIONS", folder)
    with closing(open_database("sqlite:///:memory:", create=True)) as database:
        (folder / "0002_orphans.py").write_text(
            "def up(migrator, db):\n    db.execute_sql('INSERT INTO child VALUES (7)')\n"
        )
        with pytest.raises(peewee.IntegrityError, match="1 references"):
            migrate(database)
        assert database.execute_sql("SELECT count(*) FROM child").fetchone() == (0,)
        assert database.execute_sql("SELECT name FROM schema_migration").fetchall() == [("0001_parents",)]
        assert database.execute_sql("PRAGMA foreign_keys").fetchone() == (1,)


NO_WORD = peewee.Value("nonsense", converter=False)  # past the conversion that would refuse it in Python
HISTORY = {"history": True, "status": OrderStatus.SUCCEED, "net": None, "tax": None, "pay_by": None}

CHECKED: list[tuple[Any, dict[str, Any]]] = [
    (Office, {"kind": NO_WORD}),
    (Office, {"name": ""}),
    (Office, {"currency": "EURO"}),
    (Department, {"name": ""}),
    (User, {"kind": NO_WORD}),
    (User, {"key": ""}),
    (User, {"name": ""}),
    (Subscription, {"service": NO_WORD}),
    (Subscription, {"expires_on": None}),
    (Subscription, {"activated_on": None, "anchor_day": None}),
    (Subscription, {"anchor_day": None}),
    (Subscription, {"anchor_day": 0}),
    (Subscription, {"anchor_day": 32}),
    (Subscription, {"opening_expires_on": None}),
    (Subscription, {"opening_anchor_day": None}),
    (Price, {"service": NO_WORD}),
    (Price, {"action": NO_WORD}),
    (Price, {"office_kind": NO_WORD}),
    (Price, {"amount": -1}),
    (AdminLimit, {"amount": -1}),
    (AdminLimit, {"currency": "EURO"}),
    (Price, {"tax_rate_ppm": -1}),
    (Price, {"tax_rate_ppm": 1_000_001}),
    (Price, {"currency": "E"}),
    (Order, {"type": NO_WORD}),
    (Order, {"status": NO_WORD}),
    (Order, {"number": ""}),
    (Order, {"apartments": -1}),
    (Order, {"currency": ""}),
    (Order, {"net": -1, "tax": 1191}),
    (Order, {"net": 1191, "tax": -1}),
    (Order, {"net": -1000, "tax": -190, "total": -1190}),
    (Order, {"total": 1191}),
    (Order, {"net": 999}),
    (Order, {"net": None}),
    (Order, {"tax": None}),
    (Order, {"months": 0}),
    (Order, {"po_number": ""}),
    (Order, {"buyer_reference": ""}),
    (Order, {"months": 61}),
    (Order, {"first_term_months": 0}),
    (Order, {"first_term_months": 61}),
    (Order, {"until": TODAY}),
    (Order, {"pay_by": None}),
    (Order, {"paid_at": NOW}),
    (Order, {"status": OrderStatus.SUCCEED}),
    (Order, {**HISTORY, "status": OrderStatus.PROCESSING, "pay_by": NOW}),
    (Order, {**HISTORY, "status": OrderStatus.SYSTEM_PROCESSING}),
    (Order, {"deleted_at": NOW}),
    (Order, {"deleted_at": NOW, "status": OrderStatus.SYSTEM_PROCESSING}),
    (Order, {"late": True}),
    (Order, {"version": 0}),
    (OrderLine, {"action": NO_WORD}),
    (OrderLine, {"lapsed": NO_WORD}),
    (OrderLine, {"amount": -1}),
    (OrderLine, {"tax_rate_ppm": -1}),
    (OrderLine, {"tax_rate_ppm": 1_000_001}),
    (OrderLine, {"days": None}),
    (OrderLine, {"action": LineAction.MONTH}),
    (OrderLine, {"days": 0}),
    (OrderLine, {"applied_on": None, "lapsed": None}),
    (OrderLine, {"new_expiry": None}),
    (OrderLine, {"lapsed": None}),
    (OrderLine, {"credit_note": 1, "applied_on": None, "lapsed": None, "new_expiry": None}),
    (OrderLine, {"new_expiry": TODAY - timedelta(days=1)}),
    (Payment, {"provider": NO_WORD}),
    (Payment, {"state": NO_WORD}),
    (Payment, {"amount": -1}),
    (Payment, {"currency": "euros"}),
    (Payment, {"applied": True}),
    (Refund, {"state": NO_WORD}),
    (Refund, {"amount": 0}),
    (Refund, {"currency": "euros"}),
    (Counter, {"last": 0}),
    (Invoice, {"kind": NO_WORD}),
    (Invoice, {"sequence": 0}),
    (Invoice, {"total": 1}),
    (Invoice, {"net": -1, "tax": 1191}),
    (Admin, {"role": NO_WORD}),
    (Admin, {"name": ""}),
    (AdminKey, {"fingerprint": ""}),
    (AdminKey, {"public_key": ""}),
    (AdminPin, {"hash": ""}),
    (AdminPin, {"failures": -1}),
    (SavedView, {"name": ""}),
]


def refused_check(model: Any, changed: dict[str, Any]) -> str:
    with pytest.raises((peewee.IntegrityError, peewee.DataError)) as refused:
        model.insert(**{**VALID[model](), **changed}).execute()
    if postgres.is_wanted():
        # By the name of the check; of more letters than a column takes, it says no more.
        error: Any = refused.value
        return str(error.orig.diag.constraint_name or error)
    _, marker, expression = str(refused.value).partition("CHECK constraint failed: ")
    assert marker, refused.value
    return expression


@pytest.mark.parametrize("model", VALID, ids=lambda model: model.__name__)
def test_the_row_that_the_wrong_ones_are_made_from_is_taken(database: SqliteDatabase, model: Any) -> None:
    model.insert(**VALID[model]()).execute()


@pytest.mark.parametrize(
    ("model", "changed"), CHECKED, ids=[f"{model.__name__}-{','.join(changed)}" for model, changed in CHECKED]
)
def test_a_wrong_state_is_refused(database: SqliteDatabase, model: Any, changed: dict[str, Any]) -> None:
    assert refused_check(model, changed)


@pytest.mark.sqlite("its words name the check")
def test_every_check_of_the_tables_is_tried_above(database: SqliteDatabase) -> None:
    tried = {(model.__name__, refused_check(model, changed)) for model, changed in CHECKED}
    known = {(model.__name__, check.sql[7:-1]) for model in models.TABLES for check in model._meta.constraints or ()}
    assert tried == known


@pytest.mark.parametrize(
    "changed",
    [
        HISTORY,
        {**HISTORY, "paid_at": NOW},
        {**HISTORY, "deleted_at": NOW},
        {"months": None, "until": TODAY},
        {"months": 60},
        {"status": OrderStatus.SUCCEED, "paid_at": NOW, "late": True, "pay_by": None},
        {"status": OrderStatus.SYSTEM_PROCESSING, "pay_by": None},
        {"status": OrderStatus.CANCEL, "deleted_at": NOW},
    ],
)
def test_states_that_orders_do_have_are_taken(database: SqliteDatabase, changed: dict[str, Any]) -> None:
    Order.insert(**{**VALID[Order](), **changed}).execute()


UNIQUE = "UNIQUE constraint failed|duplicate key"


def twins(model: Any, same: dict[str, Any], other: dict[str, Any]) -> None:
    """A second row with `same` is refused, one that differs in `other` is taken."""
    model.insert(**{**VALID[model](), **same}).execute()
    with pytest.raises(peewee.IntegrityError, match=UNIQUE):
        model.insert(**{**VALID[model](), **same}).execute()
    model.insert(**{**VALID[model](), **same, **other}).execute()


def test_nothing_is_there_twice_that_may_be_once(database: SqliteDatabase) -> None:
    order, subscription, user, office = an_order(), a_subscription(), a_user(), an_office()
    another = Office.create(name="Ash", name_folded="ash", kind=OfficeKind.OFFICE, timezone="UTC", currency="EUR")
    twins(Office, {"name": "X"}, {"name": "Y"})
    twins(Department, {"office": office, "name": "X"}, {"office": another})
    twins(User, {"key": "X"}, {"key": "Y"})
    twins(Subscription, {"user": user, "service": Service.APP}, {"service": Service.PM_APP})
    twins(Price, {"office_kind": None}, {"office_kind": OfficeKind.OFFICE})
    twins(Price, {"office_kind": OfficeKind.COMMUNITY}, {"valid_from": TODAY + timedelta(days=1)})
    twins(Order, {"number": "X"}, {"number": "Y"})
    twins(OrderLine, {"order": order, "subscription": subscription}, {"subscription": a_subscription()})
    twins(Claim, {"subscription": subscription}, {"subscription": a_subscription()})
    twins(Payment, {"idempotency_key": "X"}, {"idempotency_key": "Y"})
    twins(Refund, {"idempotency_key": "X"}, {"idempotency_key": "Y"})
    twins(Counter, {}, {"year": 2027})
    twins(Invoice, {"number": "X"}, {"number": "Y"})
    twins(Invoice, {"sequence": 10**9}, {"year": 2027})
    twins(Admin, {"name": "X"}, {"name": "Y"})
    twins(AdminLimit, {"admin": (admin := an_admin())}, {"admin": admin, "currency": "USD"})
    twins(SavedView, {"owner": an_admin()}, {"owner": None})
    twins(SavedView, {"owner": None, "name_folded": "x"}, {"name_folded": "y"})
    twins(LastState, {"admin": an_admin()}, {"admin": an_admin()})
    twins(Request, {"id": "X"}, {"id": "Y"})


def test_an_order_has_one_claim_on_a_subscription_even_if_it_is_its_own(database: SqliteDatabase) -> None:
    claim = VALID[Claim]()
    twins(Claim, claim, {"subscription": a_subscription()})


LIVE = (PaymentState.CREATED, PaymentState.SENT, PaymentState.PENDING, PaymentState.UNKNOWN)
ENDED = tuple(state for state in PaymentState if state not in LIVE)


@pytest.mark.parametrize("first", LIVE)
@pytest.mark.parametrize("second", LIVE)
def test_an_order_has_one_live_payment(database: SqliteDatabase, first: PaymentState, second: PaymentState) -> None:
    order = an_order()
    twins(Payment, {"order": order, "state": first}, {"state": PaymentState.DECLINED})
    with pytest.raises(peewee.IntegrityError, match=UNIQUE):
        Payment.insert(**{**VALID[Payment](), "order": order, "state": second}).execute()
    Payment.insert(**{**VALID[Payment](), "state": second}).execute()


def test_payments_that_ended_stand_beside_each_other(database: SqliteDatabase) -> None:
    order = an_order()
    for state in ENDED * 2:
        Payment.insert(**{**VALID[Payment](), "order": order, "state": state}).execute()


def test_a_payment_has_one_refund_under_way(database: SqliteDatabase) -> None:
    payment = Payment.create(**VALID[Payment]())
    ended = [state for state in RefundState if not state.is_live]
    for state in ended * 2:
        Refund.insert(**{**VALID[Refund](), "payment": payment, "state": state}).execute()
    for first in (state for state in RefundState if state.is_live):
        payment = Payment.create(**VALID[Payment]())
        twins(Refund, {"payment": payment, "state": first}, {"state": RefundState.DECLINED})
        for second in (state for state in RefundState if state.is_live):
            with pytest.raises(peewee.IntegrityError, match=UNIQUE):
                Refund.insert(**{**VALID[Refund](), "payment": payment, "state": second}).execute()


def test_one_payment_of_an_order_is_applied(database: SqliteDatabase) -> None:
    applied = {"order": an_order(), "state": PaymentState.SUCCEEDED, "applied": True}
    twins(Payment, applied, {"applied": False})


def test_an_order_has_one_invoice_and_may_have_credit_notes(database: SqliteDatabase) -> None:
    order = an_order()
    twins(Invoice, {"order": order}, {"kind": InvoiceKind.CREDIT_NOTE})
    Invoice.insert(**{**VALID[Invoice](), "order": order, "kind": InvoiceKind.CREDIT_NOTE}).execute()


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (Department, "office"),
        (User, "office"),
        (User, "department"),
        (Subscription, "user"),
        (Order, "office"),
        (Order, "made_from"),
        (OrderLine, "order"),
        (OrderLine, "subscription"),
        (Claim, "order"),
        (Claim, "subscription"),
        (OrderLine, "credit_note"),
        (Payment, "order"),
        (Refund, "payment"),
        (Refund, "credit_note"),
        (Invoice, "order"),
        (AuditEvent, "order"),
        (AdminLimit, "admin"),
        (SavedView, "owner"),
        (LastState, "admin"),
    ],
)
def test_a_row_belongs_to_one_that_is_there_and_stays(database: SqliteDatabase, model: Any, column: str) -> None:
    with pytest.raises(peewee.IntegrityError, match=r"(?i)foreign key"):
        model.insert(**{**VALID[model](), column: 10**6}).execute()
    makers = {"office": an_office, "department": a_department, "user": a_user, "subscription": a_subscription}
    others = {"owner": an_admin, "admin": an_admin, "payment": a_payment, "credit_note": a_credit_note}
    owner = (makers | others).get(column, an_order)()
    model.insert(**{**VALID[model](), column: owner}).execute()
    with pytest.raises(peewee.DatabaseError, match=r"(?i)foreign key|append-only|permission denied"):
        owner.delete_instance()


@pytest.mark.parametrize("model", [AuditEvent, Invoice])
def test_the_trail_and_the_invoices_are_append_only(database: SqliteDatabase, model: Any) -> None:
    model.insert(**VALID[model]()).execute()
    before = dump(database)
    table = model._meta.table_name
    for statement in (
        f"UPDATE {table} SET id = id",
        f"DELETE FROM {table}",
        f"DELETE FROM {table} WHERE id = 1",
        *(
            (f"TRUNCATE {table} CASCADE",)
            if postgres.is_wanted()
            else (f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}", f"UPDATE OR IGNORE {table} SET id = 7")
        ),
    ):
        with pytest.raises(peewee.DatabaseError, match=r"is append-only|permission denied"):
            database.execute_sql(statement)
        assert dump(database) == before
