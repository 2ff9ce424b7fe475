"""smartsub: activate, renew, pay and triage access-control and intercom subscriptions from a terminal."""

import sys

__version__ = "0.1.0"

# Peewee imports every driver that is installed, and psycopg takes as long as all the rest of a start. It comes with the
# first database that is on a server (data/psycopg_driver.py), and never for one in a file.
sys.modules.setdefault("psycopg", None)  # type: ignore[arg-type]
