"""Where the time comes from. Rules take instants as arguments; only the outermost layer asks a clock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    def now(self) -> datetime:
        """This instant, aware, in UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def local_date(instant: datetime, timezone: str) -> date:
    """The date that people in `timezone` (an IANA name) have at `instant`."""
    return instant.astimezone(ZoneInfo(timezone)).date()
