"""Field types that Peewee does not have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from peewee import BigIntegerField

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(instant: datetime) -> int:
    """Microseconds since 1970 in UTC; a naive datetime is refused, for it names no instant."""
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone cannot be stored")
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The aware UTC datetime of to_microseconds."""
    return _EPOCH + value * _MICROSECOND


class InstantField(BigIntegerField):
    """An instant: an aware UTC datetime in Python, microseconds since 1970 in the database.

    An integer sorts, compares and indexes the same on every engine; text with an offset does not.
    """

    def db_value(self, value: datetime | int | None) -> int | None:
        return to_microseconds(value) if isinstance(value, datetime) else value

    def python_value(self, value: int | None) -> datetime | None:
        return None if value is None else from_microseconds(value)
