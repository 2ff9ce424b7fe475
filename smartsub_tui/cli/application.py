"""The application itself, on the database or on sample data; without a terminal, what it would show as text."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from shutil import get_terminal_size

import click
from msgspec.structs import replace

from smartsub_tui import output
from smartsub_tui.billing import access
from smartsub_tui.billing.access import Permission
from smartsub_tui.billing.profiles import permits
from smartsub_tui.billing.session import Session
from smartsub_tui.cli.invocation import ROWS, Invocation, command, moment_of, say, with_invocation
from smartsub_tui.clock import SystemClock
from smartsub_tui.data import queries
from smartsub_tui.data.database import available, load_engine, url_of
from smartsub_tui.data.filters import parse_orders
from smartsub_tui.errors import Refused, WrongUsage

# Frames in a second at most: Textual, left alone, lets what has changed wait for up to a sixtieth.
_FRAMES = "200"
# Seconds after which a thread gives way to another. With Python's own, ten times as long, each answer of the database
# would wait for the import of Textual, and a server is asked a dozen things before the first frame.
_TURN = 0.0005


def open_application(run: Invocation, screen: str | None, filter_text: str | None) -> None:
    """The application, where nothing else is said as it was left; without a terminal, dashboard and orders as text."""
    profile = run.globals.profile
    terminal = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    if not terminal or run.globals.json or os.environ.get("TERM", "dumb") in ("dumb", ""):
        if profile.allows.permissions is not None:
            raise WrongUsage(f"{profile.label} smartsub is the application alone: give it a terminal")
        with run.session(create=not profile.is_restricted) as session:
            _print_dashboard(run, session, filter_text or "")
        return
    from smartsub_tui.backend import Backend
    from smartsub_tui.billing import opening

    gc.disable()  # as above, until the application has drawn its first frame
    if screen == "subscriptions" and not permits(profile, Permission.CREATE):
        raise WrongUsage(f"{profile.label} there is no screen subscriptions: name another")
    if profile.allows.needs_pin:
        _ask_for_pin(run)
        screen = screen or "dashboard"
    if not profile.allows.environment:
        _forget_variables()
    os.environ.pop("TEXTUAL_LOG", None)  # Textual would write every key down, and a PIN is typed by keys
    os.environ["TEXTUAL_FPS"] = _FRAMES
    # Not in its thread: two that import take turns at every file, and the server would be asked behind all of Textual.
    load_engine(run.url)
    backend = Backend(
        run.url,
        run.admin,
        run.settings,
        SystemClock(),
        create=not profile.is_restricted,
        profile=profile,
        read_only=run.globals.read_only,
    )
    backend.tell_away = lambda away: say("smartsub: waiting for the database") if away else None
    rows = get_terminal_size().lines
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    looked = backend.begin(lambda session: opening.look(session, screen, filter_text, rows=rows))
    # While Textual is imported, which takes longer.
    try:
        from smartsub_tui.app import SmartSubApp

        opened = looked.result()
    except BaseException:
        backend.close()
        raise
    finally:
        sys.setswitchinterval(usual)
    app = SmartSubApp(backend, opened, config_file=run.config_file)
    app.run()
    for each in app.left_over:
        say(f"smartsub: {each}")
    if app.return_code or app.left_over:
        raise SystemExit(app.return_code or app.left_code or 1)


def _ask_for_pin(run: Invocation) -> None:
    """Raise Refused where the admin has no PIN: what begins locked could not be opened."""
    from smartsub_tui.billing.pins import has_pin

    with run.reading() as session:
        if not has_pin(session):
            raise Refused(
                f"{run.globals.profile.label} smartsub begins locked, and {run.admin} has no PIN to open it:"
                f" smartsub admin pin {run.admin}"
            )


def _forget_variables() -> None:
    """Textual reads its own when it is imported: another driver, a log, keys to press, a picture to write.

    How many colours there are does no harm, and ssh hands on nothing else that says it.
    """
    for name in [name for name in os.environ if name.startswith("TEXTUAL") and name != "TEXTUAL_COLOR_SYSTEM"]:
        del os.environ[name]


def _print_dashboard(run: Invocation, session: Session, filter_text: str) -> None:
    from smartsub_tui.billing.changes import time_out_due

    with available():
        access.check(session.admin, Permission.READ)
        time_out_due(session)
        now = session.clock.now()
        offices = queries.offices(now)
        newest = queries.search_orders(parse_orders(filter_text), moment_of(session), limit=ROWS).rows
    run.print(
        {"offices": offices, "orders": list(newest)},
        lambda: f"{output.offices(offices)}\n\n{output.orders(newest, session.settings.ui.timezone)}",
    )


@command()
@click.option("--orders", "orders_", type=click.IntRange(0, 10_000_000), default=20_000, show_default=True)
@click.option("--users", type=click.IntRange(1, 1_000_000), default=2_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed and day, same data.")
@click.option("--keep", metavar="FILE", type=click.Path(path_type=Path), help="Keep the sample database here.")
@with_invocation
def demo(run: Invocation, orders_: int, users: int, seed: int, keep: Path | None) -> None:
    """The application on sample data."""
    import tempfile

    from smartsub_tui.billing.demo import make_demo

    if keep is not None and keep.exists():
        raise WrongUsage(f"{keep} exists: name another file, or open it with --database {url_of(keep)}")
    with tempfile.TemporaryDirectory(prefix="smartsub-demo-") as folder:
        path = keep or Path(folder) / "demo.sqlite3"
        here = Invocation(replace(run.globals, database=url_of(path.absolute())))
        say(f"making {orders_:,} orders of {users:,} users ...")
        try:
            with here.session(create=True) as session, available():
                make_demo(
                    session.database,
                    admin=session.admin,
                    now=session.clock.now(),
                    orders=orders_,
                    users=users,
                    seed=seed,
                    settings=session.settings,
                )
        except BaseException:
            # Half a sample would look like a whole one at the next start.
            if keep is not None:
                for leftover in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                    leftover.unlink(missing_ok=True)
            raise
        open_application(here, "dashboard", "")
