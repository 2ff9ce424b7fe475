"""Idempotency keys (docs.stripe.com/api/idempotent_requests): the first answer under a key is the answer.

Kept is what came from doing the call, errors and 500s among it; not what was refused before.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from tests.providers.refusals import Refusal

FORGOTTEN_AFTER: Final = 24 * 3600


class Answer(NamedTuple):
    status: int
    body: bytes


class _Kept(msgspec.Struct):
    request: tuple[str, str]
    at: int
    answer: Answer | None = None


class Keys:
    """Not locked: whoever holds the lock of the books calls."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def begin(self, key: str, path: str, form: str, now: int) -> Answer | None:
        """The answer that is kept under the key; None: it is free, and in use from now on. Raises Refusal."""
        if not 0 < len(key) <= 255:
            raise Refusal("Idempotency keys can have 1 to 255 characters.")
        kept = self._kept.get(key)
        if kept is None or (kept.answer is not None and now - kept.at >= FORGOTTEN_AFTER):
            self._kept[key] = _Kept((path, form), now)
            return None
        if kept.request[0] != path:
            raise self._mismatch(
                f"for the same endpoint they were first used for ('{kept.request[0]}' vs '{path}')", key
            )
        if kept.request != (path, form):
            raise self._mismatch("with the same parameters they were first used with", key)
        if kept.answer is None:
            raise Refusal(
                f"There is currently another in-progress request using this Idempotent Key (that probably means you"
                f" submitted twice, and the other request is still going through): {key}. Please try again later.",
                status=409,
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        return kept.answer

    def _mismatch(self, how: str, key: str) -> Refusal:
        return Refusal(
            f"Keys for idempotent requests can only be used {how}."
            f" Try using a key other than '{key}' if you meant to execute a different request.",
            kind="idempotency_error",
        )

    def keep(self, key: str, answer: Answer) -> None:
        if key in self._kept:
            self._kept[key].answer = answer

    def known(self) -> set[str]:
        return set(self._kept)

    def forget(self, key: str) -> None:
        self._kept.pop(key, None)

    def forget_all(self) -> None:
        self._kept.clear()
