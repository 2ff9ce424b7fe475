"""Field types that Peewee does not have, or converts slowly: an order for ten thousand people has many values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from peewee import BigIntegerField, DateField
from playhouse.fields import EnumField

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


class DayField(DateField):
    """A service date, in the database as YYYY-MM-DD. What is no such text or date is left to Peewee."""

    def db_value(self, value: Any) -> Any:
        return value.isoformat() if type(value) is date else super().db_value(value)  # type: ignore[no-untyped-call]

    def python_value(self, value: Any) -> Any:
        if value is None:
            return None
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            return super().python_value(value)  # type: ignore[no-untyped-call]


class WordField(EnumField):  # type: ignore[misc] # playhouse has no types
    """A word of a closed list, by its value."""

    if TYPE_CHECKING:  # of a row it is the word

        def __get__(self, row: Any, model: Any) -> Any: ...

        def __set__(self, row: Any, word: Any) -> None: ...

    def __init__(self, words: Any, *args: Any, **options: Any) -> None:
        super().__init__(words, *args, **options)
        self._words = {word.value: word for word in words}

    def db_value(self, value: Any) -> Any:
        return value.value if type(value) is self.enum_class else super().db_value(value)

    def python_value(self, value: Any) -> Any:
        return None if value is None else self._words[value]
