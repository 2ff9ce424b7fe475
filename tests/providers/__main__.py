"""`python -m tests.providers --key-file F [--port N]`: the test provider as its own process."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

from tests.providers.server import StripeServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.providers", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--key-file", type=Path, required=True, help="holds the key; written where it is not there")
    asked = parser.parse_args()

    key_file: Path = asked.key_file
    server = StripeServer(asked.port, key_file.read_text().strip() if key_file.exists() else None)
    if not key_file.exists():
        with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(server.key + "\n")
    # serve_forever cannot be ended from the thread that it runs in.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(server.url, flush=True)
    server.serve_forever(poll_interval=0.02)
    server.faults.clear()
    server.server_close()


if __name__ == "__main__":
    main()
