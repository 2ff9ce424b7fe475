"""How Stripe says no: a status and an error in JSON (docs.stripe.com/api/errors)."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """An answer that is an error. `kept`: it came from doing the call, and is replayed under its idempotency key.

    What was refused before anything was done (a bad parameter, a wrong key, a key in use) is not kept.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        kept: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kept = kept
        told = {"code": code, "message": message, "param": param, "type": kind}
        if code is not None:
            told["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        self.body: dict[str, Any] = {"error": {name: value for name, value in told.items() if value is not None}}


def missing(what: str, id: str, param: str) -> Refusal:
    return Refusal(f"No such {what}: '{id}'", status=404, code="resource_missing", param=param, kept=True)
