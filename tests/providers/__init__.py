"""A local Stripe, for tests: HTTP on 127.0.0.1, the state behind it, and a plan of faults. Standard library only.

It knows what smartsub uses of Stripe and no more: Checkout Sessions in payment mode with inline prices (create,
retrieve with `expand[]=payment_intent`, list, expire), the page where the customer pays, payment intents, refunds
(create, retrieve, list), and idempotency keys. A parameter that it does not know is refused as Stripe refuses an
unknown one, whether Stripe knows it or not.

In this process (fixture `stripe_server` of tests/providers/conftest.py, or `running()`)::

    with running() as stripe_server:                   # running(clock=clock): by a Clock of the application's
        client(stripe_server).v1.checkout.sessions.create({...})
        pay(session.url)                               # what the customer does; pay(url, card="declined"), "delayed"
        stripe_server.books.paid()                     # the charges that took money, each with its client_reference_id
        stripe_server.books.settle(intent, succeeded=True)     # a delayed payment has come, or has failed
        stripe_server.books.refunds_wait = True        # from here on refunds are pending until settled
        stripe_server.books.advance(hours=1)           # its own clock; sessions end, keys are forgotten after 24 h
        stripe_server.faults.plan(Call.CREATE, Fault.RESET_AFTER)           # the next create
        stripe_server.faults.plan(Call.RETRIEVE, Fault.ERROR_BEFORE, nth=3)  # the third retrieve from here on
        stripe_server.faults.always(Fault.REFUSED)     # every call (or one: always(fault, Call.LIST)) until clear()
        stripe_server.faults.at_random(seed=7, rate=0.3)    # the same seed and calls: the same faults
        stripe_server.faults.clear()                   # the provider is back; what is held goes on
        stripe_server.faults.seen                      # [(call, fault or None)], in the order in which they came

It accepts `stripe_server.key` alone; `client()` of real.py is the real library with that key, that address, no retries.
`pay()` answers a `Page` (status, text) and raises no error for a page that refuses.

Faults (`Fault`; `fault.takes_effect` says whether the call did what it asks for, in spite of the fault):

=============  ============================================================================================
REFUSED        the connection is reset before anything is read
RESET_BEFORE   the request is read, then the connection is reset: nothing happened
RESET_AFTER    it happened, then the connection is reset: no answer
ERROR_BEFORE   500, nothing happened; kept under the idempotency key and replayed, as Stripe does
ERROR_AFTER    500, it happened; kept under the idempotency key as well
RATE_LIMITED   429, nothing happened; not kept
SLOW           it happened, the answer is held until the client gave up or `release()`
LATE           it is held first, and happens when the client gave up or at `release()`; meanwhile its key is in use
HTML           200 and a page of HTML: something in between answered, nothing happened
BAD_GATEWAY    502 and a page of HTML: it happened, the answer was lost in between
WRONG_AMOUNT   it happened, the answer tells another amount; at PAY another amount is charged
WRONG_CURRENCY the same with the currency
FORGOTTEN_KEY  the idempotency key of this call is forgotten before it is looked up; the call is done anew
=============  ============================================================================================

`faults.wait_until_held()` waits until a call is being held. Errors and pages of HTML tell the secret key and a card
number (`CARD_NUMBER`): whoever shows or stores what a provider says has leaked them.

As its own process (`python -m tests.providers --port 0 --key-file F`; `started(folder)` of process.py does it and
answers a `Remote` with .url, .key, .key_file, .get(name), .post(name, body), .paid()): F is read, or written with a new
key and mode 0600; the first line of output is the address; SIGTERM ends it. Controls need no key and speak JSON:

- GET /test/charges, /test/sessions, /test/intents, /test/refunds: what the books hold, oldest first;
  GET /test/requests: [[call, fault or null], ...].
- POST /test/faults `{"planned": [{"call": "create", "nth": 2, "fault": "reset_after"}], "always": [{"call": null,
  "fault": "refused"}], "random": {"seed": 1, "rate": 0.3, "calls": [...], "faults": [...]}}`: the plan, in place of the
  one before; every part may be absent, `{}` is none. Without "calls" or "faults" it is all of them that do not hold.
- POST /test/release `{}`: lets go what SLOW and LATE hold.
- POST /test/clock `{"seconds": 3600}` moves it on, `{"at": 1790000000}` puts it there; answers `{"now": ...}`.
- POST /test/settle `{"id": "pi_... or re_...", "succeeded": true}`; POST /test/refunds `{"wait": true}`;
  POST /test/forget `{}` forgets all idempotency keys; POST /test/notice `{"text": "..."}`: the header Stripe-Notice of
  all answers from here on.

Where it differs from Stripe: there is one account; a connection serves one call; nothing is sent by webhook; the texts
of errors that were not to be found are its own; a card is "ok", "declined" or "delayed". The bounds are strict:
`expires_at` must be at least 30 minutes and LESS than 24 hours after the server's now. A payment intent is made when
the customer first tries to pay (and is there after a declined card, the session still open); an expired session's is
canceled.
"""

from tests.providers.books import CARD_NUMBER
from tests.providers.customer import Page, pay
from tests.providers.faults import Call, Fault
from tests.providers.server import StripeServer, running

__all__ = ["running", "StripeServer", "Call", "Fault", "pay", "Page", "CARD_NUMBER"]
