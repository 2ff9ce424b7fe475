"""A database whose every text from outside is one of the strings, as an import or another program would leave it."""

# ruff: noqa: E501 - heads of files
from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from smartsub_tui.clock import SystemClock
from smartsub_tui.data.database import url_of
from smartsub_tui.data.models import (
    Admin,
    AuditEvent,
    Department,
    Order,
    OrderLine,
    Payment,
    SavedView,
    Subscription,
    User,
)
from smartsub_tui.data.text import folded
from smartsub_tui.data.vocabulary import OrderStatus, PaymentState, ProviderName, Role, UserKind
from tests.journeys import material
from tests.support import add_community, add_office, add_order, add_payment, add_prices, file_database

# The first in every list of offices: its people are all the strings.
FIRST: Final = "!First"
_FAR: Final = date(2096, 11, 30)
_PARTS: Final = 7  # lines, payments and events of an order
_STATUSES: Final = (OrderStatus.TIME_OUT, OrderStatus.FAILED, OrderStatus.CANCEL)


def prepare(folder: Path, strings: Sequence[str]) -> Path:
    """The database of these (all different, none empty) with its settings and files to import; returns its file."""
    path = folder / "hostile.sqlite3"
    database = file_database(path)
    with database.writing():
        add_prices()
        now = SystemClock().now()
        Admin.create(name="manager", role=Role.MANAGER, created_at=now)
        _fill(strings)
    database.close()
    _files(folder, strings)
    return path


def _fill(strings: Sequence[str]) -> None:
    now, count = SystemClock().now(), len(strings)
    first = add_community(FIRST)

    def of(place: int, field: int) -> str:
        """Another of the strings for each field of a row, and every string in each field of some row."""
        return strings[(place + field * 17) % count]

    views: set[str] = set()
    offices = [add_office(name) for name in strings]
    for place, text in enumerate(strings):
        Admin.create(name=text, role=Role.VIEWER, created_at=now)
        if folded(text) not in views:  # of two that are compared alike there is one
            views.add(folded(text))
            SavedView.create(owner=None, name=text, name_folded=folded(text), filter_text=of(place, 1), sort="-created")
        parts = [
            Department.create(office=office, name=of(place, 2), name_folded=folded(of(place, 2)))
            for office in (first, offices[place])
        ]
        people = []
        for where, (key, active) in zip(
            (*parts, parts[0]), ((text, True), (f"{text} 2", True), (f"{text} 3", False)), strict=True
        ):
            user = User.create(
                key=key, key_folded=folded(key), office=where.office, department=where, name=of(place, 3),
                name_folded=folded(of(place, 3)), email=of(place, 4), kind=UserKind.USER, apartment=of(place, 5),
            )  # fmt: skip
            dates = {"activated_on": date(2024, 1, 1), "expires_on": _FAR, "anchor_day": 30} if active else {}
            people.append(
                Subscription.create(
                    user=user,
                    service=UserKind.USER.service,
                    **dates,
                    **{f"opening_{key}": value for key, value in dates.items()},
                )
            )
        order = add_order(
            offices[place],
            [people[1]],
            _STATUSES[place % 3],
            number=text,
            created_at=now - timedelta(minutes=place + 5),
        )
        Order.update(
            po_number=of(place, 6),
            buyer_reference=of(place, 7),
            created_by=of(place, 8),
            created_by_folded=folded(of(place, 8)),
        ).where(Order.id == order.id).execute()
        OrderLine.update(label=of(place, 9)).where(OrderLine.order == order).execute()
        for part in range(2):
            payment = add_payment(order, PaymentState.SUCCEEDED, ProviderName.STRIPE if part else ProviderName.MANUAL)
            Payment.update(
                reference=of(place, 10 + part), charge=of(place, 12 + part), confirmation=of(place, 14 + part),
                link=of(place, 16 + part), created_by=of(place, 18 + part),
            ).where(Payment.id == payment.id).execute()  # fmt: skip
        for part in range(3):
            AuditEvent.create(
                at=now, admin=of(place, 20 + part), source=of(place, 23 + part), action=("cancel", of(place, 26), "pay")[part],
                order=order, reason=of(place, 29 + part), subject=of(place, 32), after='{"status":"cancel"}', hash="",
            )  # fmt: skip


def _files(folder: Path, strings: Sequence[str]) -> None:
    """Names of files as strange as the file system takes them, and a CSV whose every cell is wrong."""
    inside = folder / "csv"
    inside.mkdir()
    for text in strings[::50]:
        name = os.fsencode(text.replace("/", "_"))[:200] + b"\xff.csv"
        with open(os.path.join(os.fsencode(inside), name), "w", encoding="utf-8") as file:
            file.write("service,action\n" + text.replace("\n", " ") + ",x\n")
    with (folder / "users.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(
            "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,activated_on,expires_on\n"
        )
        for text in strings[:300]:
            cell = '"' + text.replace('"', '""') + '"'
            file.write(",".join([cell] * 13) + "\n")
    seller = "".join(each for each in strings[3] if each.isprintable()) or "x"
    (folder / "config.toml").write_text(
        f"[seller]\nname = {_toml(strings[1])}\naddress = {_toml(strings[2])}\nvat_id = {_toml(seller)}\n"
        f"iban = {_toml(strings[4])}\nemail = {_toml(strings[5])}\n[payments]\nstripe_key_file = {_toml(strings[6])}\n"
        '[billing_system]\nurl = "https://billing.example/"\n',
        "utf-8",
    )


def _toml(text: str) -> str:
    return '"' + "".join(f"\\U{ord(each):08X}" for each in text) + '"'


def environment(folder: Path) -> dict[str, str]:
    env = {key: value for key, value in material.environment(folder).items() if key not in ("TMUX", "STY", "NO_COLOR")}
    return {
        **env,
        "SMARTSUB_CONFIG": str(folder / "config.toml"),
        "SMARTSUB_DATABASE": url_of(folder / "hostile.sqlite3"),
        "LANG": "C.UTF-8",
        "COLORTERM": "truecolor",
        "PYTHONPATH": os.getcwd(),
    }
