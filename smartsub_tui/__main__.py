"""python -m smartsub_tui is smartsub."""

from smartsub_tui.cli import main

main()
