"""What a profile closes is closed beneath the screens, for every role, and says where it can be done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from smartsub_tui.billing import backups, bulk, exports, imports, invoice_files, orders, payments, profiles, views
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.changes import perform
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.profiles import Profile
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.exports import ExportFormat, ExportKind, Wanted
from smartsub_tui.data.filters import parse_orders
from smartsub_tui.data.vocabulary import Trigger
from smartsub_tui.errors import NotAllowed
from tests.support import TODAY, add_office, add_people, add_prices, dump

# Written out by hand: reading and paying, and what a payment brings with it.
AT_THE_KIOSK = {
    *(Permission.READ, Permission.SWEEP, Trigger.PAY, Trigger.LINK),
    *(Trigger.TIME_OUT, Trigger.UNDER_WAY, Trigger.ARRIVE, Trigger.NOT_TAKEN, Trigger.DECLINE),
}


def within(session: Session, profile: Profile) -> Session:
    return replace(session, profile=profile)


@pytest.fixture
def number(session: Session) -> str:
    add_prices()
    add_people(add_office(), "u1", "u2", expires_on=TODAY)
    return orders.renew(session, "Oak House", ["u1"], Months(1)).order.number


@pytest.mark.parametrize("permission", [*Permission, *Trigger])
def test_the_kiosk_reads_and_pays_whatever_a_manager_may(session: Session, permission: Permission | Trigger) -> None:
    def write() -> int:
        return perform(within(session, Profile.KIOSK), permission, {}, int, lambda _: 1)

    if permission in AT_THE_KIOSK:
        assert profiles.why_closed(Profile.KIOSK, permission) == ""
        profiles.check(Profile.KIOSK, permission)
    else:
        with pytest.raises(NotAllowed, match=f"at the kiosk nobody may {permission.label}: do it at another terminal"):
            write()


@pytest.mark.parametrize("profile", [Profile.OPEN, Profile.SSH])
@pytest.mark.parametrize("permission", [*Permission, *Trigger])
def test_elsewhere_the_role_decides(profile: Profile, permission: Permission | Trigger) -> None:
    profiles.check(profile, permission)


def test_an_order_is_paid_at_the_kiosk(session: Session, number: str) -> None:
    paid = payments.pay(within(session, Profile.KIOSK), number, Manual("cash, receipt 17"))
    assert paid.order.invoice is not None


def closing() -> dict[str, Callable[[Session, str, Path], object]]:
    """What is no payment, by the function that the screens call."""
    return {
        "renew": lambda session, number, _: orders.renew(session, "Oak House", ["u2"], Months(1)),
        "again": lambda session, number, _: orders.again(session, number),
        "confirm": lambda session, number, _: payments.confirm(session, number, Manual("R")),
        "cancel": lambda session, number, _: payments.CLOSING[Trigger.CANCEL](session, number, "why"),
        "delete": lambda session, number, _: payments.CLOSING[Trigger.DELETE](session, number, "why"),
        "many": lambda session, number, _: bulk.preview(session, Trigger.CANCEL, [number]),
        "save a view": lambda session, number, _: views.save_view(session, "mine", "", "-created"),
        "export": lambda session, number, _: exports.find_rows(
            session, Wanted(ExportKind.ORDERS, parse_orders("")), ExportFormat.CSV
        ),
    }


@pytest.mark.parametrize("what", closing())
def test_the_kiosk_does_nothing_else(session: Session, number: str, what: str, tmp_path: Path) -> None:
    before = dump(session.database)
    with pytest.raises(NotAllowed, match="at the kiosk nobody may"):
        closing()[what](within(session, Profile.KIOSK), number, tmp_path)
    assert dump(session.database) == before


def files() -> dict[str, Callable[[Session, str, Path], object]]:
    """Everything that reads or writes a file which someone named."""
    wanted = Wanted(ExportKind.ORDERS, parse_orders(""))
    return {
        "export": lambda session, _, folder: exports.FileExport(wanted, ExportFormat.CSV, folder / "new").begin(
            session
        ),
        "import": lambda session, _, folder: imports.import_files(session, [folder / "users.csv"]),
        "backup": lambda session, _, folder: backups.back_up(session, folder / "new"),
        "invoice": lambda session, number, folder: invoice_files.save(session, number, folder=folder),
        "invoices": lambda session, _, folder: bulk.SaveInvoices(folder).begin(session),
        "archive": lambda session, _, folder: bulk.SaveInvoices(folder / "new.zip").begin(session),
    }


@pytest.mark.parametrize("profile", [Profile.SSH, Profile.KIOSK])
@pytest.mark.parametrize("what", files())
def test_no_file_is_named_where_the_machine_is_closed(
    session: Session, number: str, what: str, profile: Profile, tmp_path: Path
) -> None:
    payments.pay(session, number, Manual("R"))
    with pytest.raises(
        NotAllowed, match=f"^{profile.label} no files are read or written: do it on the machine itself$"
    ):
        files()[what](within(session, profile), number, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_open_reads_and_writes_files() -> None:
    profiles.check_files(Profile.OPEN)


def test_only_one_profile_gives_the_machine_away() -> None:
    assert [each for each in Profile if not each.is_restricted] == [Profile.OPEN]
