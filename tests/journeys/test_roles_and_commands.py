"""Every command of the command line in every role: who may not is told so, and nothing is changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from smartsub_tui.billing import orders
from smartsub_tui.billing.terms import Months
from smartsub_tui.cli import COMMANDS, cli
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.errors import NotAllowed, SmartsubError
from tests.support import TODAY, FixedClock, add_office, add_people, add_prices, dump, file_database, session_on

pytestmark = pytest.mark.once

VIEWER, OPERATOR, MANAGER, AUDITOR = Role
ALL: Final = frozenset(Role)
WORK, KEEP = frozenset({OPERATOR, MANAGER}), frozenset({MANAGER})

# Written out by hand from the description of the roles: who may, and the words behind "smartsub". NUMBER is an order's.
WHO: Final[dict[str, tuple[frozenset[Role], tuple[str, ...]]]] = {
    "activate": (WORK, ("activate", "--office", "Oak House", "--department", "Sales")),
    "admin": (ALL, ("admin", "list")),
    "admin add": (KEEP, ("admin", "add", "ann", "--role", "viewer")),
    "admin change": (KEEP, ("admin", "change", "viewer", "--role", "manager")),
    "admin disable": (KEEP, ("admin", "disable", "viewer")),
    "admin enable": (KEEP, ("admin", "enable", "viewer")),
    "admin key": (KEEP, ("admin", "key", "viewer", "--remove", "SHA256:x")),
    "admin pin": (KEEP, ("admin", "pin", "ben", "--remove")),
    "again": (WORK, ("again", "NUMBER")),
    "apply": (WORK, ("apply", "NUMBER")),
    "audit": (frozenset({AUDITOR}), ("export", "audit")),
    "audit verify": (ALL, ("audit", "verify")),
    "backup": (KEEP, ("backup", "FILE")),
    "billing": (ALL, ("billing",)),
    "cancel": (KEEP, ("cancel", "NUMBER", "--reason", "r")),
    "confirm": (WORK, ("confirm", "NUMBER", "--reference", "r")),
    "copy": (KEEP, ("copy", "--to", "URL")),
    "credit": (KEEP, ("credit", "NUMBER", "--reason", "r")),
    "delete": (KEEP, ("delete", "NUMBER", "--reason", "r")),
    "doctor": (ALL, ("doctor",)),
    "export": (ALL, ("export", "orders")),
    "fail": (WORK, ("fail", "NUMBER", "--reason", "r")),
    "import": (KEEP, ("import", "FILE")),
    "invoice": (ALL, ("invoice", "NUMBER", "-o", "-")),
    "keys": (ALL, ("keys",)),
    "offices": (ALL, ("offices",)),
    "order": (ALL, ("order", "NUMBER")),
    "orders": (ALL, ("orders",)),
    "pay": (WORK, ("pay", "NUMBER", "--reference", "r")),
    "pay by a link": (WORK, ("pay", "NUMBER", "--provider", "stripe", "--dry-run")),
    "refund": (KEEP, ("refund", "NUMBER", "--reason", "r")),
    "renew": (WORK, ("renew", "--office", "Oak House", "--months", "1")),
    "restore": (KEEP, ("restore", "NUMBER")),
    "sweep": (WORK, ("sweep",)),
    "users": (ALL, ("users",)),
    "views": (ALL, ("views",)),
    "views save": (ALL, ("views", "save", "v", "status:failed")),
    "views share": (KEEP, ("views", "save", "v", "status:failed", "--shared")),
}
# Theirs are files, the machine, or a database of their own; what they ask is tested where they are.
ELSEWHERE: Final = {"demo", "init", "migrate", "recover"}


def test_every_command_is_in_the_matrix() -> None:
    named = {words[0] for _, words in WHO.values()}
    assert named | ELSEWHERE | {each for each in COMMANDS if each.startswith("ssh-")} == set(COMMANDS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "roles.sqlite3"
    database = file_database(path)
    session = session_on(database, clock=FixedClock(datetime.now(UTC)))  # nothing of it is due yet
    add_prices()
    add_people(add_office(), "u1", "u2", expires_on=TODAY)
    orders.renew(session, "Oak House", ["u1"], Months(1))
    for role in Role:
        session_on(database, role)
    database.close()
    return path


@pytest.mark.whole
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
@pytest.mark.parametrize("name", WHO)
def test_a_command_is_for_who_may(
    path: Path, tmp_path: Path, name: str, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMARTSUB_STRIPE_KEY", "sk_test_of_nobody")
    config = tmp_path / "config.toml"
    config.write_text('[payments]\nreturn_url = "https://example.com/paid"\n')
    monkeypatch.setenv("SMARTSUB_CONFIG", str(config))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    database = open_database(url_of(path))
    (number,) = database.execute_sql("SELECT number FROM orders").fetchone()
    before = dump(database)
    database.close()
    who, words = WHO[name]
    file = tmp_path / "file.csv"
    arguments = [{"NUMBER": number, "FILE": str(file), "URL": url_of(file)}.get(each, each) for each in words]
    try:
        cli.main(["--database", url_of(path), "--admin", role.value, *arguments], standalone_mode=False)
        told: Exception | None = None
    except (SmartsubError, SystemExit) as error:
        told = error if isinstance(error, Exception) else None
    if role in who:
        assert not isinstance(told, NotAllowed), told
    else:
        assert isinstance(told, NotAllowed), told
        assert told.exit_code == 4
        database = open_database(url_of(path))
        assert dump(database) == before
        database.close()
        assert not file.exists()
