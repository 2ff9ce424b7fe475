"""Makes the pictures of the README: the program itself, on sample data, at one fixed moment. See `./run pictures`."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from smartsub_tui.billing.demo import make_demo
from smartsub_tui.config import InterfaceSettings, Seller, Settings
from smartsub_tui.data.database import open_database, url_of
from smartsub_tui.data.models import Admin
from smartsub_tui.data.vocabulary import Role
from smartsub_tui.screens.pay import PayScreen
from tests.screens.stage import app_over, press, settle, until, write
from tests.support import NOW, FixedClock, on_a_whole_terminal

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
SETTINGS: Final = Settings(
    seller=Seller(name="Example Ltd", iban="DE02 1203 0000 0000 2020 51"), ui=InterfaceSettings(timezone="UTC")
)
# Name of the picture, and what is typed from the dashboard on: keys, and in quotes text for the field that is open.
PICTURES: Final[dict[str, tuple[str, ...]]] = {
    "dashboard": (),
    "renew": (*"jjjjjn", "slash", "'state:expiring,expired'", "enter", "A", "m", "'12'", "enter"),
    "payments": ("3", "slash", "'status:failed,timeout type:subscription'", "enter", "j"),
    "order": ("3", "slash", "'status:succeed office:Oak*'", "enter", "enter"),
    "pay": ("3", "slash", "'status:processing'", "enter", "p"),
    "expiring": ("E", "v"),
}


async def take(url: str, name: str, steps: tuple[str, ...]) -> None:
    app = app_over(url, "mara", SETTINGS, FixedClock())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for step in steps:
            if step.startswith("'"):
                await write(pilot, step.strip("'"))
            else:
                await press(pilot, step)
        if name == "pay":
            await until(pilot, lambda: isinstance(app.screen, PayScreen))
        svg = app.export_screenshot(title="smartsub")
    (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    on_a_whole_terminal()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.sqlite3"
        database = open_database(url_of(path), create=True)
        Admin.create(name="mara", role=Role.MANAGER, created_at=NOW)
        make_demo(database, admin="mara", now=NOW, orders=3000, users=900, seed=1, settings=SETTINGS)
        database.close()
        for name, steps in PICTURES.items():
            asyncio.run(take(url_of(path), name, steps))


if __name__ == "__main__":
    main()
