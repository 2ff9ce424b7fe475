"""smartsub: activate, renew, pay and triage access-control and intercom subscriptions from a terminal."""

__version__ = "0.1.0"
