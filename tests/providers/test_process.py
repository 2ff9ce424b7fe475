"""The test provider as its own process: the same server, steered over HTTP."""

import stat
from pathlib import Path

import pytest
import stripe

from tests.providers import pay
from tests.providers.process import started
from tests.providers.real import checkout, client


def test_it_serves_the_library_and_is_steered_over_http(tmp_path: Path) -> None:
    with started(tmp_path) as remote:
        assert stat.S_IMODE(remote.key_file.stat().st_mode) == 0o600
        now = remote.post("clock", {"at": 1_790_000_000})["now"]
        session = client(remote).v1.checkout.sessions.create(checkout(now, expires_at=now + 1800))
        assert session.url is not None
        assert pay(session.url, card="delayed").status == 200
        assert remote.paid() == []
        remote.post("settle", {"id": remote.get("intents")[0]["id"], "succeeded": True})
        assert [charge["amount"] for charge in remote.paid()] == [4284]
        assert remote.get("sessions")[0]["status"] == "complete"

        remote.post("faults", {"always": [{"fault": "refused"}]})
        with pytest.raises(stripe.APIConnectionError):
            client(remote).v1.checkout.sessions.retrieve(session.id)
        remote.post("faults")
        assert client(remote).v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
        assert remote.get("requests")[-2:] == [["retrieve", "refused"], ["retrieve", None]]
