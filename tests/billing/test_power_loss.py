"""The power of a server goes as a COMMIT is on its way to it; it is there again, and another writes first.

What had not come to its disk is gone, with all that it counted: the next transaction has the number of the lost one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from smartsub_tui.billing import audit_chain, orders, payments
from smartsub_tui.billing.payments import Manual
from smartsub_tui.billing.terms import Months
from smartsub_tui.data.database import Patience, open_database
from smartsub_tui.data.models import Invoice
from smartsub_tui.data.vocabulary import OrderStatus, Role
from tests import postgres
from tests.billing.test_connections import SOON
from tests.pair import free_port, needs_a_pair
from tests.proxy import Cut, Proxy
from tests.support import add_office, add_people, add_prices, session_on

pytestmark = [
    pytest.mark.postgres,
    needs_a_pair,
    # A thread of the proxy's is cut off with the server, in the midst of it.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("request_id", ["r", None])
@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_payment_that_went_down_with_its_server_is_done_once(request_id: str | None, cut: Cut) -> None:
    server = postgres.Cluster(free_port(), {"fsync": "on", "synchronous_commit": "on"})
    # The server ends with the thread that began it.
    with ThreadPoolExecutor(1) as keeper:
        try:
            server.make()
            keeper.submit(server.serve).result(60)
            direct = postgres.url("postgres", folder=server.folder) + f"&port={server.port}"
            with closing(open_database(direct, create=True)) as made:
                session_on(made, Role.MANAGER)
                add_prices()
                add_people(add_office(), "u1", expires_on=SOON)

            def lose(_: Cut) -> None:
                server.kill()
                server.serve()
                with closing(server.connect()) as other:
                    other.execute("BEGIN; SELECT pg_current_xact_id(); NOTIFY other; COMMIT")

            with (
                Proxy(str(server.folder), server.port) as proxy,
                closing(open_database(proxy.url("postgres"), patience=Patience())) as database,
            ):
                session = session_on(database)
                number = orders.renew(session, "Oak House", ["u1"], Months(1)).order.number
                proxy.on_cut = lambda cut: keeper.submit(lose, cut).result(60)
                proxy.plan([cut])
                paid = payments.pay(session, number, Manual("R"), request_id=request_id)
                assert paid.order.status is OrderStatus.SUCCEED
                assert [each.number for each in Invoice.select()] == ["INV-2026-000001"]
                assert audit_chain.verify(session).events == 2
        finally:
            server.stop()
