"""What a storm passes over: a database of orders of all kinds, files to import, and a local Stripe."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from smartsub_tui.billing import credits, orders, payments
from smartsub_tui.billing.payments import BankTransfer, Manual
from smartsub_tui.billing.providers import hold
from smartsub_tui.billing.session import Session
from smartsub_tui.billing.terms import Months
from smartsub_tui.clock import SystemClock
from smartsub_tui.data.database import url_of
from smartsub_tui.data.models import Admin
from smartsub_tui.data.vocabulary import Role, UserKind
from tests.journeys import material
from tests.providers.process import Remote
from tests.support import add_community, add_office, add_person, add_prices, file_database, session_on

NAME: Final = "storm.sqlite3"
# Whoever is at the keyboard, one after the other; the manager can do most.
ROLES: Final = (Role.MANAGER, Role.OPERATOR, Role.MANAGER, Role.VIEWER, Role.MANAGER, Role.AUDITOR)
_FILES: Final = {
    "prices.csv": "service,action,amount,currency,office_kind,tax_rate,valid_from\napp,month,7,EUR,,0.19,2031-01-01\n",
    "users.csv": (
        "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,activated_on,"
        "expires_on\nOak House,office,Europe/Berlin,EUR,Sales,new1,Nia New,,user,,app,,\n"
    ),
    "orders.csv": "order_number,office,type\n1,Nowhere,subscription\n",
}
PEOPLE: Final = 40


def prepare(folder: Path, provider: Remote) -> Path:
    """The database, the files and the settings in `folder`; returns the database's file."""
    for name, text in _FILES.items():
        (folder / name).write_text(text)
    (folder / "config.toml").write_text(
        f'[payments]\nstripe_key_file = "{provider.key_file}"\nstripe_url = "{provider.url}"\n'
        'return_url = "https://example.com/paid"\n[billing_system]\nurl = "https://billing.example/"\n'
        '[seller]\nname = "Seller GmbH"\naddress = "Mainstr. 1"\niban = "DE02120300000000202051"\n'
    )
    path = folder / NAME
    database = file_database(path)
    with database.writing():
        add_prices()
        add_prices("USD")
        for role in Role:
            Admin.create(name=role.value, role=role, created_at=datetime.now(UTC))
        _people()
    _orders(replace(session_on(database), clock=SystemClock()))
    database.close()
    return path


def _people() -> None:
    today = datetime.now(UTC).date()
    oak, elm = add_office("Oak House"), add_community("Elm Court", timezone="America/New_York")
    far = add_office("梅田 Ticaret Şirketi", currency="USD")
    for place in range(PEOPLE):
        ends = today + timedelta(days=(place * 7) % 60 - 5)
        add_person(oak, f"o{place}", department="Sales" if place % 3 else "Post", expires_on=ends)
        add_person(elm, f"e{place}", name=f"محمد {place}", department="A", apartment=str(place // 2), expires_on=ends)
        add_person(far, f"f{place}", expires_on=ends if place % 2 else None)
    add_person(oak, "m1", name="Mara Manager", kind=UserKind.PROPERTY_MANAGER, expires_on=today)
    add_person(elm, "k1", name="Fanny Family", kind=UserKind.FAMILY, expires_on=today, apartment="1")
    for place in range(9):
        add_person(oak, f"i{place}", department=f"New {place % 3}")


def _orders(session: Session) -> None:
    """Made and moved by the rules: some of each status, and money of each kind."""

    def renewed(*keys: str, office: str = "Oak House") -> str:
        return orders.renew(session, office, keys, Months(2)).order.number

    ends: tuple[Callable[[str], Any], ...] = (
        lambda number: None,
        lambda number: payments.pay(session, number, Manual("cash 1")),
        lambda number: payments.pay(session, number, BankTransfer()),
        lambda number: payments.cancel(session, number, "mistake"),
        lambda number: payments.delete(session, number, "mistake"),
        lambda number: payments.pay(session, number, Manual("too little", 100)),
        lambda number: _credited(session, number),
    )
    for place in range(PEOPLE - 12):
        office, key = (("Oak House", f"o{place}"), ("Elm Court", f"e{place}"))[place % 2]
        ends[place % len(ends)](renewed(key, office=office))


def _credited(session: Session, number: str) -> None:
    payments.pay(session, number, Manual("cash 2"))
    hold(session.database, session.providers, credits.credit(session, number, "not wanted", reference="cash back"))


def environment(folder: Path) -> dict[str, str]:
    """Someone with a home in `folder`, at a terminal."""
    env = {key: value for key, value in material.environment(folder).items() if key not in ("TMUX", "STY", "NO_COLOR")}
    return {
        **env,
        "SMARTSUB_CONFIG": str(folder / "config.toml"),
        "SMARTSUB_DATABASE": url_of(folder / NAME),
        "LANG": "C.UTF-8",
        "COLORTERM": "truecolor",
        "PYTHONPATH": os.getcwd(),
    }
