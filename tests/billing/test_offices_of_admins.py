"""Admins who work for some offices: for them there is nothing else, whatever is asked or done.

What they read is compared with a database in which the other office never was; what they do, with what one does who
works for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest
from msgspec.structs import replace
from peewee import ForeignKeyField

from smartsub_tui.backend import Backend
from smartsub_tui.billing import (
    access,
    admins,
    backups,
    bulk,
    copies,
    credits,
    estimates,
    expiring,
    exports,
    imports,
    invoice_files,
    links,
    orders,
    payments,
    refunds,
    views,
)
from smartsub_tui.billing.admins import Changed
from smartsub_tui.billing.details import read_order
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.providers import Call, Talk, step
from smartsub_tui.billing.providers.manual import ByHand
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.sweep import sweep
from smartsub_tui.billing.terms import Months
from smartsub_tui.data import database as databases
from smartsub_tui.data import models, queries, triage
from smartsub_tui.data.exports import ExportFormat, ExportKind, Wanted
from smartsub_tui.data.filters import Moment, parse_orders, parse_users
from smartsub_tui.data.models import AdminOffice, AuditEvent, Office, Order, Payment
from smartsub_tui.data.order_records import OrderDetails
from smartsub_tui.data.queries import Sort
from smartsub_tui.data.sqlite import works_for_some_in
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, Role, Trigger
from smartsub_tui.errors import NotAllowed, NotFound, Refused, Unavailable
from smartsub_tui.screens import order_actions
from tests.billing.paying import held, paying_by
from tests.providers import running
from tests.support import (
    NOW,
    SETTINGS,
    TODAY,
    FixedClock,
    add_community,
    add_office,
    add_people,
    add_prices,
    aside,
    dump,
    file_database,
    memory_database,
    session_on,
    unguard,
    url_at,
)

OAK, ELM = "Oak House", "Elm Court"


def an_office(session: Session, name: str, add: Callable[[str], Office], letter: str) -> None:
    """An office with an order in each state that a list tells apart."""
    office = add(name)
    people = [f"{letter}{place}" for place in range(8)]
    add_people(office, *people, expires_on=TODAY)
    add_people(office, f"{letter}new", department="New")

    def renewed(key: str) -> str:
        return orders.renew(session, name, [key], Months(1)).order.number

    payments.pay(session, renewed(people[0]), Manual(f"{letter} paid"))
    payments.cancel(session, renewed(people[1]), f"{letter} why")
    waits = renewed(people[2])
    payments.pay(session, waits, Manual(f"{letter} part", 1))
    failed = renewed(people[3])
    Order.update(status=OrderStatus.SYSTEM_PROCESSING).where(Order.number == failed).execute()
    payments.fail(session, failed, f"{letter} failed")
    payments.pay(session, renewed(people[4]), BankTransfer())
    back = renewed(people[5])
    payments.pay(session, back, Manual(f"{letter} back"))
    held(session, credits.credit(session, back, f"{letter} credit"))
    unknown = renewed(people[6])
    Order.update(status=OrderStatus.SYSTEM_PROCESSING).where(Order.number == unknown).execute()
    Payment.create(
        order=queries.find_order(unknown),
        provider=ProviderName.STRIPE,
        state=PaymentState.UNKNOWN,
        idempotency_key=unknown,
        amount=595,
        currency="EUR",
        created_at=NOW,
        changed_at=NOW,
        created_by="manager",
        expires_at=NOW,
        ask_at=NOW,
    )


def offices_of(database: databases.Database, *, with_elm: bool) -> Session:
    """A session of ann, who manages Oak House: the only office there is, or all that there is for her."""
    session = session_on(database)
    add_prices()
    an_office(session, OAK, add_office, "o")
    if with_elm:
        an_office(session, ELM, lambda name: add_community(name, timezone="Europe/London"), "e")
        admins.add(session, "ann", Role.MANAGER, offices=[OAK])
    else:
        admins.add(session, "ann", Role.MANAGER)
    access.see_as(database, "ann")
    return replace(session, admin="ann")


@pytest.fixture
def ann(database: databases.Database) -> Session:
    return offices_of(database, with_elm=True)


MOMENT: Final = Moment(NOW, "UTC")


_OF: Final = {ExportKind.ORDERS: parse_orders(""), ExportKind.USERS: parse_users("")}


def exported(session: Session, kind: ExportKind, form: ExportFormat) -> str:
    rows = exports.find_rows(session, Wanted(kind, _OF.get(kind)), form)
    return "".join(exports.pages(session, rows))


def renewable(session: Session, office: str) -> Any:
    return estimates.renewable(session, office, parse_users(""), Months(1), additional=False, most=100)


def facts_of_all(session: Session) -> Any:
    found = list(Order.select().order_by(Order.id))
    return payments.facts_of(found, NOW)


READS: Final[dict[str, Callable[[Session], Any]]] = {
    "zones": lambda _: queries.zones(),
    "office names": lambda _: queries.office_names(),
    "offices": lambda _: queries.offices(NOW),
    "departments": lambda _: queries.departments(queries.find_office(OAK)),
    "names for a filter": lambda _: {key: queries.filter_names()[key] for key in ("office", "department")},
    "users": lambda _: queries.search_users(parse_users(""), MOMENT, limit=None),
    "count of users": lambda _: queries.count_users(parse_users(""), MOMENT),
    "counts by filter": lambda _: queries.count_people([parse_users("expires:today")], MOMENT),
    "orders": lambda _: queries.search_orders(parse_orders(""), MOMENT, limit=500),
    "orders by office": lambda _: queries.search_orders(parse_orders(""), MOMENT, sort=Sort("office"), limit=500),
    "a user's orders": lambda _: queries.search_orders(parse_orders("user:e0"), MOMENT, limit=500),
    "their payments": lambda _: queries.search_orders(parse_orders("is:unapplied,unknown,retry"), MOMENT, limit=500),
    "orders that begin so": lambda _: queries.orders_beginning(parse_orders("2026"), MOMENT, limit=500),
    "count of orders": lambda _: queries.count_orders(parse_orders(""), MOMENT),
    "facets": lambda _: queries.count_facets(parse_orders(""), MOMENT),
    "totals": lambda _: queries.order_totals(parse_orders(""), MOMENT, limit=500),
    "triage": lambda _: triage.read_queue(MOMENT),
    "details": lambda _: [read_order(each.number, NOW, SETTINGS) for each in Order.select().order_by(Order.id)],
    "facts": facts_of_all,
    "expiring": lambda _: expiring.expiring(queries.offices(NOW), expiring.months(TODAY), MOMENT),
    "renewable": lambda ann: renewable(ann, OAK),
    "to activate": lambda ann: estimates.departments_to_activate(ann, OAK, additional=False),
    "exported orders": lambda ann: exported(ann, ExportKind.ORDERS, ExportFormat.JSONL),
    "exported users": lambda ann: exported(ann, ExportKind.USERS, ExportFormat.CSV),
    "invoices": lambda ann: [
        read_order(each.order.number, NOW, SETTINGS).invoice
        for each in models.Invoice.select().order_by(models.Invoice.id)
    ],
}


@pytest.fixture(scope="module")
def alone() -> Iterator[Any]:
    """What is read where the other office never was, by the name of the read."""
    database = memory_database()
    session = offices_of(database, with_elm=False)
    yield {name: read(session) for name, read in READS.items()}
    database.close()


@pytest.mark.parametrize("name", READS)
def test_for_who_works_for_one_office_there_never_was_another(alone: Any, ann: Session, name: str) -> None:
    assert READS[name](ann) == alone[name]


@pytest.mark.parametrize("name", READS)
def test_each_of_these_reads_would_see_another_office(alone: Any, ann: Session, name: str) -> None:
    """Without this the test above could not fail."""
    ann.database.see_only(None)
    if name in {"departments", "renewable", "to activate"}:
        return  # of one office, by its name
    assert READS[name](replace(ann, admin="manager")) != alone[name]


def test_every_table_that_leads_to_an_office_is_hidden() -> None:
    leads: set[Any] = {Office}
    while more := {
        each
        for each in models.TABLES
        if each not in leads
        and any(isinstance(field, ForeignKeyField) and field.rel_model in leads for field in each._meta.sorted_fields)
    }:
        leads |= more
    # Whose offices they are, is no secret; the trail is read by order, and as a whole by who works for all.
    assert {each._meta.table_name for each in leads - {AdminOffice, AuditEvent}} == set(databases.OF_OFFICES)


def elm_number(ann: Session, status: OrderStatus, position: int = 0) -> str:
    with ann.database.seeing_all():
        found = Order.select().join(Office).where((Office.name == ELM) & (Order.status == status)).order_by(Order.id)
        return str(found[position].number)


def opened(session: Session, number: str) -> Any:
    return held(session, links.open_link(replace(session, providers=lambda _: ByHand()), number))


ON_ORDERS: Final[dict[str, tuple[OrderStatus, Callable[[Session, str], Any]]]] = {
    "pay": (OrderStatus.PROCESSING, lambda ann, number: payments.pay(ann, number, Manual("R"))),
    "choose bank transfer": (OrderStatus.PROCESSING, lambda ann, number: payments.pay(ann, number, BankTransfer())),
    "open a link": (OrderStatus.PROCESSING, lambda ann, number: opened(ann, number)),
    "look": (OrderStatus.SYSTEM_PROCESSING, lambda ann, number: held(ann, links.ask_order(ann, number))),
    "confirm": (OrderStatus.SYSTEM_PROCESSING, lambda ann, number: payments.confirm(ann, number, Manual("R"))),
    "fail": (OrderStatus.SYSTEM_PROCESSING, lambda ann, number: payments.fail(ann, number, "why")),
    "again": (OrderStatus.FAILED, lambda ann, number: orders.again(ann, number)),
    "apply": (OrderStatus.PROCESSING, lambda ann, number: payments.apply(ann, number)),
    "cancel": (OrderStatus.PROCESSING, lambda ann, number: payments.cancel(ann, number, "why")),
    "delete": (OrderStatus.PROCESSING, lambda ann, number: payments.delete(ann, number, "why")),
    "restore": (OrderStatus.CANCEL, lambda ann, number: payments.restore(ann, number)),
    "refund": (OrderStatus.PROCESSING, lambda ann, number: held(ann, refunds.refund(ann, number, "why"))),
    "credit": (OrderStatus.SUCCEED, lambda ann, number: held(ann, credits.credit(ann, number, "why"))),
    "propose a credit note": (OrderStatus.SUCCEED, lambda ann, number: credits.propose(ann, number)),
    "invoice": (OrderStatus.SUCCEED, lambda ann, number: invoice_files.draw(ann, number)),
    "details": (OrderStatus.SUCCEED, lambda ann, number: read_order(number, NOW, SETTINGS)),
    "without a link": (
        OrderStatus.PROCESSING,
        lambda ann, number: held(
            ann, links.without_link(ann, Trigger.PAY, number, lambda: payments.pay(ann, number, Manual("R")))
        ),
    ),
    "renew": (OrderStatus.SUCCEED, lambda ann, _: orders.renew(ann, ELM, ["e0"], Months(1))),
    "activate": (OrderStatus.SUCCEED, lambda ann, _: orders.activate(ann, ELM, ["New"])),
    "estimate": (OrderStatus.SUCCEED, lambda ann, _: renewable(ann, ELM)),
}


@pytest.mark.parametrize("name", ON_ORDERS)
def test_what_belongs_to_another_office_is_not_there_to_be_done_anything_to(ann: Session, name: str) -> None:
    status, act = ON_ORDERS[name]
    number = elm_number(ann, status)
    with ann.database.seeing_all():
        before = dump(ann.database)
    with pytest.raises(NotFound) as refused:
        act(ann, number)
    assert "Elm" not in refused.value.message.replace(f"'{ELM}'", "")  # it was asked for, and is not told
    with ann.database.seeing_all():
        assert dump(ann.database) == before


def test_people_of_another_office_are_nobody_s_at_home(ann: Session) -> None:
    with pytest.raises(Refused, match="e0 is not, or no longer, among those who can be renewed"):
        orders.renew(ann, OAK, ["e0"], Months(1))


def test_many_orders_are_looked_for_among_their_own(ann: Session) -> None:
    with ann.database.seeing_all():
        numbers = [each.number for each in Order.select()]
    assert queries.find_orders(numbers).keys() == {each.number for each in Order.select()}
    previewed = bulk.preview(ann, Trigger.DELETE, numbers)
    assert ELM not in repr(previewed)
    assert queries.order_summaries(numbers, NOW).keys() == {each.number for each in Order.select()}


OF_ALL: Final[dict[str, Callable[[Session, Path], Any]]] = {
    "import": lambda ann, file: imports.import_files(ann, [file]),
    "back up": lambda ann, file: backups.back_up(ann, file),
    "copy": lambda ann, file: copies.copy(ann, databases.url_of(file)),
    "make an admin": lambda ann, _: admins.add(ann, "ben", Role.VIEWER),
    "widen themselves": lambda ann, _: admins.change(ann, "ann", Changed(offices=())),
    "share a view": lambda ann, _: views.save_view(ann, "v", "status:failed", shared=True),
    "export the trail": lambda ann, _: exported(ann, ExportKind.AUDIT, ExportFormat.JSONL),
}


@pytest.mark.parametrize("name", OF_ALL)
def test_what_concerns_all_offices_is_for_who_works_for_all(ann: Session, name: str, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed):
        OF_ALL[name](ann, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def whole_life(session: Session, clock: FixedClock) -> None:
    """Everything that is done to orders of an office."""
    number = orders.renew(session, OAK, ["o0", "o1"], Months(1)).order.number
    payments.pay(session, number, Manual("R1"))
    held(session, credits.credit(session, number, "why", users=["o0"]))
    orders.activate(session, OAK, ["New"], paying=Manual("R2"))
    other = orders.renew(session, OAK, ["o7"], Months(1)).order.number
    payments.cancel(session, other, "why")
    payments.confirm(session, other, Manual("R3"))
    held(session, refunds.refund(session, other, "why"))
    payments.delete(session, other, "why")
    payments.restore(session, other)
    orders.again(session, other)
    clock.advance(days=20)
    held(session, sweep(session))


def test_who_works_for_one_office_does_there_what_another_does(ann: Session, clock: FixedClock) -> None:
    """As much is stored, in every table, as by one who works for all; times of all offices are over alike."""
    ann = replace(ann, clock=clock)
    whole_life(ann, clock)
    ann.database.see_only(None)
    stored = dump(ann.database)
    database = memory_database()
    later = FixedClock()
    by_all = replace(offices_of(database, with_elm=True), clock=later)
    database.see_only(None)
    admins.change(replace(by_all, admin="manager"), "ann", Changed(offices=()))
    # Both have the same trail but for this.
    unguard(AuditEvent._meta.database, "audit_event")
    AuditEvent.delete().where(AuditEvent.action == "change_admin").execute()
    access.see_as(database, "ann")
    assert database.sees_all
    whole_life(by_all, later)
    expected = dump(database)
    database.close()

    def told(tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
        tables = {name: rows for name, rows in tables.items() if name not in ("admin_office", "schema_migration")}
        # Ids of events, and the hashes that chain them, count those that were taken away.
        tables["audit_event"] = [row[1:-1] for row in tables["audit_event"]]
        return tables

    assert told(stored) == told(expected)


def test_the_time_of_orders_elsewhere_is_not_over_while_money_may_come(ann: Session, clock: FixedClock) -> None:
    """What is hidden still counts: an order with a live payment is not timed out by who cannot see that."""
    number = elm_number(ann, OrderStatus.PROCESSING)
    with ann.database.seeing_all():
        Payment.create(
            order=queries.find_order(number),
            provider=ProviderName.STRIPE,
            state=PaymentState.SENT,
            idempotency_key="live",
            amount=595,
            currency="EUR",
            created_at=NOW,
            changed_at=NOW,
            created_by="manager",
        )
    clock.advance(days=20)
    held(ann, sweep(replace(ann, clock=clock)))
    with ann.database.seeing_all():
        left = [each.number for each in Order.select().where(Order.status == OrderStatus.PROCESSING)]
    assert left == [number]


def test_numbers_of_hidden_orders_are_not_given_again(ann: Session) -> None:
    with ann.database.seeing_all():
        last = Order.select().order_by(Order.number.desc()).get().number
    assert orders.renew(ann, OAK, ["o7"], Months(1)).order.number == str(int(last) + 1)


def test_one_manager_of_all_offices_is_always_left(session: Session) -> None:
    add_office()
    admins.add(session, "ann", Role.MANAGER, offices=[OAK])
    acts: list[Callable[[], Any]] = [
        lambda: admins.disable(session, "manager"),
        lambda: admins.change(session, "manager", Changed(offices=(OAK,))),
        lambda: admins.change(session, "manager", Changed(role=Role.VIEWER)),
    ]
    for act in acts:
        with pytest.raises(Refused, match="manager is the only manager of all offices: make another one first"):
            act()
    admins.change(session, "ann", Changed(offices=()))
    assert admins.disable(session, "manager").disabled_at is not None


def test_offices_are_said_by_name_and_kept_in_the_trail(session: Session) -> None:
    add_office()
    add_community()
    ann = admins.add(session, "ann", Role.VIEWER, offices=["oak house", OAK, ELM])
    assert ann.offices == (ELM, OAK)
    assert admins.change(session, "ann", Changed(role=Role.OPERATOR)).offices == (ELM, OAK)
    assert admins.change(session, "ann", Changed(offices=(OAK,))).offices == (OAK,)
    assert admins.change(session, "ann", Changed(offices=())).offices is None
    with pytest.raises(NotFound, match=r"no office is called 'Oak Hose': did you mean 'Oak House'\?"):
        admins.change(session, "ann", Changed(offices=("Oak Hose",)))
    said = [str(each.after) for each in AuditEvent.select().order_by(AuditEvent.id)]
    assert ['"offices":["Elm Court","Oak House"]' in said[0], '"offices":["Oak House"]' in said[2]] == [True, True]
    assert '"offices":null' in said[3]


def test_who_sees_the_admins_sees_no_other_offices_in_them(ann: Session) -> None:
    with ann.database.seeing_all():
        admins.add(replace(ann, admin="manager"), "ben", Role.VIEWER, offices=[OAK, ELM])
        admins.add(replace(ann, admin="manager"), "eve", Role.VIEWER, offices=[ELM])
    offices = {each.name: each.offices for each in admins.admins(ann)}
    assert offices == {"ann": (OAK,), "ben": (OAK,), "eve": (), "manager": None}


def test_a_change_of_offices_in_the_midst_of_a_write_is_not_overlooked(ann: Session) -> None:
    """She was found to work for all, and does not any more when it is her turn to write."""
    ann.database.see_only(None)
    with pytest.raises(Unavailable, match="were changed in this moment, and nothing was stored: try it again"):
        payments.cancel(ann, elm_number(ann, OrderStatus.PROCESSING), "why")


def test_what_was_done_before_is_told_to_who_asks_for_it_again(ann: Session) -> None:
    number = orders.renew(ann, OAK, ["o7"], Months(1), request_id="r").order.number
    ann.database.see_only(None)  # as if her offices had been widened, and narrowed again in this moment
    assert orders.renew(ann, OAK, ["o7"], Months(1), request_id="r").order.number == number


def test_what_was_done_while_a_provider_answered_is_told_to_who_asks_for_it_again(ann: Session) -> None:
    """She asked twice for the same, and her offices were changed in the moment in which the first heard of the link."""
    number = orders.renew(ann, OAK, ["o7"], Months(1)).order.number
    with running(clock=cast(FixedClock, ann.clock)) as server:
        paying = paying_by(ann, server)
        held(paying, links.open_link(paying, number))

        def cancelled() -> Talk[OrderDetails]:
            def act() -> OrderDetails:
                return payments.cancel(paying, number, "why", request_id="r")

            return links.without_link(paying, Trigger.CANCEL, number, act, request_id="r")

        first = cancelled()
        call = step(paying.database, first, None)
        assert isinstance(call, Call)
        answer = call.put_to(paying.providers(ProviderName.STRIPE))
        done = held(paying, cancelled())
        paying.database.see_only(None)
        with pytest.raises(Unavailable, match="in this moment, and what was begun before is stored: try it again"):
            step(paying.database, first, answer)
        assert held(paying, cancelled()).number == done.number


def test_who_is_moved_elsewhere_while_a_provider_answers_is_told_so(ann: Session) -> None:
    """And the answer is heard by the next sweep: the payment stands at what was stored before the call."""
    number = orders.renew(ann, OAK, ["o7"], Months(1)).order.number
    with running(clock=cast(FixedClock, ann.clock)) as server:
        paying = paying_by(ann, server)
        talk = links.open_link(paying, number)
        call = step(paying.database, talk, None)
        assert isinstance(call, Call)
        with paying.database.seeing_all():
            admins.change(replace(paying, admin="manager"), "ann", Changed(offices=(ELM,)))
            answer = call.put_to(paying.providers(ProviderName.STRIPE))
        with pytest.raises(NotFound, match="no longer there, or no longer yours to see: look again"):
            step(paying.database, talk, answer)
        paying.database.see_only(None)
        manager = replace(paying, admin="manager", clock=FixedClock(NOW + timedelta(hours=1)))
        held(manager, sweep(manager))
        assert Payment.select().where(Payment.link.is_null(False)).count() == 1


READ: Final[dict[str, Callable[[Session, str], OrderDetails]]] = {
    "order": lambda session, number: read_order(number, NOW, session.settings),
    "proposal": lambda session, number: credits.propose(session, number).order,
    "screen": lambda session, number: order_actions.look(session, number)[0],
}


@pytest.mark.parametrize("read", READ)
def test_what_is_read_of_an_order_is_of_one_moment(tmp_path: Path, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose offices are changed, or whose order, between two questions of that."""
    path = tmp_path / "file.sqlite3"
    ann = offices_of(file_database(path), with_elm=True)
    number = orders.renew(ann, OAK, ["o7"], Months(1)).order.number
    payments.pay(ann, number, Manual("for one"))
    before = READ[read](ann, number)
    real = queries.find_order

    def find_order(number: str) -> Order:
        found = real(number)
        monkeypatch.setattr(queries, "find_order", real)
        with closing(aside(path)) as other:
            other.execute("DELETE FROM admin_office")
            other.execute("UPDATE orders SET version = version + 1")
        return found

    monkeypatch.setattr(queries, "find_order", find_order)
    assert READ[read](ann, number) == before
    with pytest.raises(NotFound, match=f"no order has the number {number}"):
        READ[read](ann, number)
    ann.database.close()


def test_another_connection_of_the_same_database_hides_as_much(ann: Session, tmp_path: Path) -> None:
    """Whatever closes it: what is hidden stays so behind it."""
    database = file_database(tmp_path / "file.sqlite3")
    session = offices_of(database, with_elm=True)
    assert [each.name for each in Office.select()] == [OAK]
    session.database.close()
    session.database.connect()
    assert [each.name for each in Office.select()] == [OAK]
    session.database.close()


async def test_an_open_application_sees_at_once_what_a_manager_says(tmp_path: Path, clock: FixedClock) -> None:
    path = tmp_path / "file.sqlite3"
    database = file_database(path)
    manager = replace(offices_of(database, with_elm=True), admin="manager")
    database.see_only(None)
    admins.change(manager, "ann", Changed(offices=()))
    backend = Backend(url_at(path), "ann", SETTINGS, clock)

    def seen(_: Session) -> list[str]:
        return queries.office_names()

    try:
        assert await backend.call(seen) == [ELM, OAK]
        for offices in ((OAK,), (ELM,), (), (OAK, ELM)):
            models.proxy.initialize(database)
            admins.change(manager, "ann", Changed(offices=offices))
            assert backend._session is not None
            models.proxy.initialize(backend._session.database)
            assert await backend.call(seen) == sorted(offices or (ELM, OAK))
    finally:
        backend.close()
        models.proxy.initialize(database)
        database.close()


@pytest.mark.sqlite("a backup is a copy of a file")
@pytest.mark.parametrize("where", ["in the backup", "in the database"])
def test_a_manager_of_some_offices_recovers_nothing(tmp_path: Path, clock: FixedClock, where: str) -> None:
    path, file = tmp_path / "file.sqlite3", tmp_path / "backup.sqlite3"
    database = file_database(path)
    manager = replace(offices_of(database, with_elm=True), admin="manager")
    database.see_only(None)
    if where == "in the database":
        admins.change(manager, "ann", Changed(offices=()))
    backups.back_up(manager, file)
    admins.change(manager, "ann", Changed(offices=() if where == "in the backup" else (OAK,)))
    database.close()
    before = path.read_bytes()
    with pytest.raises(NotAllowed, match="ann works for some offices only, and this is about all"):
        backups.recover(path, url_at(path), file, "ann", clock, SETTINGS, go_back=True)
    assert path.read_bytes() == before


def test_where_it_is_not_known_all_work_for_all(tmp_path: Path) -> None:
    assert not works_for_some_in(tmp_path / "none.sqlite3", "ann")
