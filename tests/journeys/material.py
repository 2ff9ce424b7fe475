"""What the journeys work on: CSV files of one office whose figures are calculated here, apart from the rules."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from tests.support import months_later

OFFICE: Final = "Østbanehallen & Söhne"
DATABASE: Final = "journey.sqlite3"
ZONE: Final = "Europe/Copenhagen"
MONTHS: Final = 12
# Net, in minor units a month, and the tax rate; two rates, so that tax per rate is seen.
PRICES: Final = {"app": (333, "0.19"), "pm_app": (907, "0.07")}
_COLUMNS: Final = {
    "prices": "service,action,amount,currency,office_kind,tax_rate,valid_from",
    "users": (
        "office,office_kind,timezone,currency,department,user_id,name,email,kind,apartment,service,activated_on,expires_on"
    ),
    "orders": ("order_number,office,type,status,apartments,total,currency,created_at,paid_at,months,until,user_ids"),
}


@dataclass(frozen=True)
class Expected:
    """The order for everyone who is to be renewed, worked out by hand."""

    expiries: dict[str, date]
    net: int
    tax: int

    @property
    def total(self) -> int:
        return self.net + self.tax


def today() -> date:
    return datetime.now(UTC).astimezone(ZoneInfo(ZONE)).date()


def write_files(folder: Path) -> tuple[list[Path], Expected]:
    """prices, users and orders: 25 users and a property manager who are active, and some who must stay out."""
    day = today()
    # Month ends, leap days, expired ones, one that ends today, ones far ahead.
    ends = [
        date(2027, 1, 31), date(2027, 2, 28), date(2028, 2, 29), date(2027, 3, 31), date(2027, 4, 30),
        date(2030, 12, 31), date(2027, 8, 31), day, day + timedelta(days=1), day + timedelta(days=29),
        day - timedelta(days=1), day - timedelta(days=40), date(2020, 2, 29), date(2024, 12, 31),
    ]  # fmt: skip
    people = [(f"K{place:03}", "user", "app", ends[place % len(ends)]) for place in range(25)]
    people.append(("K900", "property_manager", "pm_app", date(2027, 5, 31)))
    rows = [
        [OFFICE, "office", ZONE, "EUR", "Drift" if place % 2 else "Økonomi", key, f"Søren Å. {key}", "", kind, "",
         service, "2019-05-31", end.isoformat()]
        for place, (key, kind, service, end) in enumerate(people)
    ]  # fmt: skip
    rows.append([OFFICE, "office", ZONE, "EUR", "Drift", "K950", "Ikke Aktiv", "", "user", "", "app", "", ""])
    rows.append(
        [
            "Elsewhere",
            "office",
            "UTC",
            "EUR",
            "x",
            "K999",
            "Not Here",
            "",
            "user",
            "",
            "app",
            "2026-01-01",
            "2027-01-01",
        ]
    )
    files = [folder / f"{name}.csv" for name in ("prices", "users", "orders")]
    _write(
        files[0],
        [
            [service, action, f"{amount / 100:.2f}", "EUR", "", rate, "2020-01-01"]
            for service, (amount, rate) in PRICES.items()
            for action in ("activation", "month", "day")
        ],
    )
    _write(files[1], rows)
    _write(
        files[2],
        [
            ["20240501100000000001", OFFICE, "subscription", "succeed", "2", "7.92", "EUR", "2024-05-01T10:00:00Z",
             "2024-05-01T10:05:00Z", "1", "", "K001;K002"],
            ["20240501100000000002", OFFICE, "subscription", "failed", "1", "3.96", "EUR", "2024-05-01T11:00:00Z",
             "", "1", "", ""],
        ],
    )  # fmt: skip
    expiries: dict[str, date] = {}
    nets: dict[str, int] = {}
    for key, _, service, end in people:
        base, anchor = (end, end.day) if end >= day else (day, day.day)
        expiries[key] = months_later(base, MONTHS, anchor)
        price, rate = PRICES[service]
        nets[rate] = nets.get(rate, 0) + MONTHS * price
    tax = sum(int(Fraction(net) * Fraction(rate) + Fraction(1, 2)) for rate, net in nets.items())
    return files, Expected(expiries, sum(nets.values()), tax)


def _write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS[path.stem].split(","))
        writer.writerows(rows)


def environment(folder: Path) -> dict[str, str]:
    """A person with a home of their own and a database in it."""
    own = ("SMARTSUB", "XDG_", "HOME", "PYTHON", "COV", "TEXTUAL", "COLUMNS", "LINES")
    env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return {
        **env,
        "HOME": str(folder),
        "TZ": "UTC",
        "PYTHONUTF8": "1",
        "SMARTSUB_DATABASE": f"sqlite:///{folder / DATABASE}",
    }


SMARTSUB: Final = (sys.executable, "-m", "smartsub_tui")


def smartsub(env: dict[str, str], *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its exit code must be `code`, and it must never print a traceback."""
    done = subprocess.run(
        [*SMARTSUB, *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def smartsub_json(env: dict[str, str], *arguments: str | Path, code: int = 0) -> Any:
    """The JSON that a command prints."""
    return json.loads(smartsub(env, "--json", *arguments, code=code).stdout)


def stop_by_ctrl_c(code: str, env: dict[str, str], folder: Path, meanwhile: Callable[[], None]) -> None:
    """Run code that prints "here" and goes on for ever, and stop it there: it ends with 130, and without a word."""
    with subprocess.Popen(
        [SMARTSUB[0], "-c", code],
        env={**env, "PYTHONPATH": os.getcwd()},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "here\n"
            meanwhile()
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, told.strip()) == (130, "")
