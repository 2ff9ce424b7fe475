"""Where files are kept: the database and config.toml, in the platform's own folders."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from platformdirs import PlatformDirs


def _dirs() -> PlatformDirs:
    # Without HOME (a service, a cron job) the folder is that of the process's user, not one of the caller's.
    if not os.environ.get("HOME"):
        try:
            os.environ["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            os.environ["HOME"] = "/"
    return PlatformDirs("smartsub", appauthor=False)


def default_database() -> Path:
    """The database that is used where none is named."""
    return Path(_dirs().user_data_dir) / "smartsub.sqlite3"


def default_config() -> Path:
    """The config.toml that is read where none is named."""
    return Path(_dirs().user_config_dir) / "config.toml"


def log_file() -> Path:
    """Where the traceback of an unexpected error goes."""
    return Path(_dirs().user_log_dir) / "smartsub.log"
