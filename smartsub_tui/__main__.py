"""smartsub, also as python -m smartsub_tui."""

import signal

# Who stops it while it imports is no error: the process just ends. main() takes it from there.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from smartsub_tui.cli import main

if __name__ == "__main__":
    main()
