"""A list of any length on a screen: it keeps a windowed table filled from the database, around its cursor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Any, Final, Generic, Protocol

from smartsub_tui.billing.session import Session
from smartsub_tui.data.filters import Moment
from smartsub_tui.data.keyset import Cursor, Page, Row
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.widgets.windowed_table import KEPT, WindowedTable

_FIRST: Final = 64  # rows of the first page: as many as the tallest usual terminal shows
_PAGE: Final = 128


class Source(Protocol[Row]):
    """A list of the database, as a value: equal ones have equal rows. Its methods are asked in the database thread."""

    @property
    def which(self) -> Hashable:
        """What tells it from other lists; the same rows, shown in another way, are the same list."""

    def page(
        self,
        session: Session,
        moment: Moment,
        *,
        limit: int,
        after: Cursor | None = None,
        before: Cursor | None = None,
        at: Cursor | None = None,
        last: bool = False,
    ) -> Page[Row]:
        """The first page, or the one right `after` a cursor, right `before` one, beginning `at` one, or the `last`."""
        ...

    def count_before(self, session: Session, moment: Moment, cursor: Cursor) -> int:
        """How many rows stand before the cursor."""
        ...


class Show(Protocol[Row]):
    """Puts rows into the table, as WindowedTable.show says; `anew`: they are of another list than those before."""

    def __call__(
        self, page: Page[Row], *, base: int, first: bool, last: bool, on: Collection[Hashable], anew: bool
    ) -> None: ...


class WindowedList(Generic[Row]):
    """Answers what its table wants. Of its questions to the database only the newest is answered."""

    def __init__(
        self,
        screen: BaseScreen,
        table: WindowedTable[Row],
        group: str,
        *,
        source: Callable[[], Source[Row] | None],
        show: Show[Row],
        listed: Callable[[object], None],
    ) -> None:
        """`source` says which list is asked for now, None where none is; `listed` is told what is shown, as `asked`.

        `group` names the questions to the database: two lists of one screen have different ones.
        """
        self._screen, self._table, self._group = screen, table, group
        self._source, self._show, self._listed = source, show, listed
        self._shown: Hashable = None  # which list the table is of
        self._stale = False  # the rows are to be read again
        self._jumped = 0  # as far as the table is of its jumps
        self._counted: tuple[Hashable, int] | None = None  # the list that was counted last, shown or not

    @property
    def asked(self) -> tuple[Source[Row] | None, int]:
        """What the table should be of: the list, in its last state, and the jumps in it."""
        return self._source(), self._table.jumps

    @property
    def is_shown(self) -> bool:
        """Whether the table is of the list that is asked for now."""
        source = self._source()
        return source is not None and source.which == self._shown

    def load(self) -> None:
        """Read the rows again where they stand; of another list, from its first row on. A jump that is on its way is
        not cut short: then where it leads.
        """
        if self.is_shown and self._table.jumps != self._jumped:
            self._stale = True
        elif self.is_shown and self._table.window.rows:
            self._read_again()
        else:
            self.begin()

    def begin(self) -> None:
        """The list from its first row; the cursor stays on its row where that is among the first."""
        source, asked = self._source(), self.asked
        if source is None:
            self._screen.workers.cancel_group(self._screen, self._group)
            self._put(Page((), ()), None)
            self._stale = False
            self._go_on(asked)
            return
        current = self._table.current
        on = self._around() if self.is_shown else () if current is None else (self._table.key_of(current),)

        async def begin() -> None:
            page, end = await self.find(source, limit=_FIRST)
            self._put(page, source.which, last=end, on=on)
            self._stale = False
            self._go_on(asked)

        self._screen.work(self._group, begin)

    def counted(self, total: int, source: Source[Row] | None = None) -> None:
        """The list that is shown has so many rows; or that of the source, and is told so when it is shown."""
        if source is not None:
            self._counted = source.which, total
        if source is None or source.which == self._shown:
            self._table.counted(total)

    def wanted(self, where: str) -> None:
        """Bring what the table wants; what it wants of a list that is no longer asked for is not brought."""
        source, window = self._source(), self._table.window
        if source is None or source.which != self._shown:
            self._table.forget_wanted(where)
            return
        asked, limit = self.asked, max(_PAGE, 2 * self._table.page)

        async def more() -> None:
            match where:
                case "after":
                    page, end = await self.find(source, limit=limit, start=window.cursors[-1])
                    self._table.put_after(page.rows, page.cursors, last=end)
                case "before":
                    page, end = await self.find(source, limit=limit, start=window.cursors[0], backward=True)
                    self._table.put_before(page.rows, page.cursors, first=end)
                case "last":
                    page, end = await self.find(source, limit=limit, backward=True)
                    base = max(0, window.total - len(page.rows))
                    on = [self._table.key_of(row) for row in page.rows[-1:]]
                    self._put(page, source.which, base=base, first=end, on=on)
                case _:
                    page, end = await self.find(source, limit=limit)
                    self._put(page, source.which, last=end)
            self._go_on(asked)

        async def bring() -> None:
            try:
                await more()
            except SmartsubError:
                self._table.forget_wanted(where)
                raise

        self._screen.work(self._group, bring)

    async def find(
        self, source: Source[Row], *, limit: int, start: Cursor | None = None, backward: bool = False
    ) -> tuple[Page[Row], bool]:
        """The rows behind `start` (before it where `backward`), and whether the list ends with them."""
        page = await self._screen.backend.latest(
            self._group, _page, source, self._screen.moment(), limit, start, backward
        )
        return page, len(page.rows) < limit

    def _read_again(self) -> None:
        source, asked, window = self._source(), self.asked, self._table.window
        if source is None or source.which != self._shown or not window.rows:
            return
        start, count, first, base = window.cursors[0], len(window.rows), window.first, window.base
        self._stale = True

        async def read() -> None:
            page, first_now, last = await self._screen.backend.patient(
                self._group, _again, source, self._screen.moment(), start, count, first
            )
            self._put(page, source.which, base=base, first=first_now, last=last, on=self._around())
            self._stale = False
            self._go_on(asked)
            if page.rows and not first_now:
                self._place(source)

        self._screen.work(self._group, read)

    def _place(self, source: Source[Row]) -> None:
        """Find out how many rows stand before the window: until then its numbers are guessed."""
        first, group = self._table.window.cursors[0], f"{self._group}-place"

        async def place() -> None:
            before = await self._screen.backend.patient(group, _before, source, self._screen.moment(), first)
            window = self._table.window
            if source.which == self._shown and first in window.cursors:  # rows may have come before it meanwhile
                self._table.placed(before - window.cursors.index(first))

        self._screen.work(group, place)

    def _put(
        self,
        page: Page[Row],
        which: Hashable,
        *,
        base: int = 0,
        first: bool = True,
        last: bool = True,
        on: Collection[Hashable] = (),
    ) -> None:
        anew, self._shown = which != self._shown, which
        if len(page.rows) > KEPT:  # others have put rows among those that are kept
            places = {self._table.key_of(row): place for place, row in enumerate(page.rows)}
            here = next((places[key] for key in on if key in places), 0)
            start = max(0, min(here - KEPT // 2, len(page.rows) - KEPT))
            first, last, base = first and not start, last and start + KEPT == len(page.rows), base + start
            page = Page(page.rows[start : start + KEPT], page.cursors[start : start + KEPT])
        self._show(page, base=base, first=first, last=last, on=on, anew=anew)
        if anew and self._counted is not None and self._counted[0] == which:
            self._table.counted(self._counted[1])

    def _go_on(self, asked: tuple[Source[Row] | None, int]) -> None:
        """The table is of what was asked. What was to be read again meanwhile, and made way for that, is read now."""
        self._jumped = asked[1]
        if self._stale and self._table.window.rows:
            self._read_again()
        else:
            self._listed(asked)

    def _around(self) -> tuple[Hashable, ...]:
        """Where the cursor should stay: on its row, else on the nearest below it, else above."""
        window, row = self._table.window, self._table.cursor_row
        place = max(0, row - window.base)
        keys = [self._table.key_of(each) for each in window.rows]
        return (*keys[place:], *reversed(keys[:place]))


def _page(
    session: Session, source: Source[Row], moment: Moment, limit: int, start: Cursor | None, backward: bool
) -> Page[Row]:
    if backward:
        return source.page(session, moment, limit=limit, before=start, last=start is None)
    return source.page(session, moment, limit=limit, after=start)


def _again(
    session: Session, source: Source[Row], moment: Moment, start: Cursor, count: int, first: bool
) -> tuple[Page[Row], bool, bool]:
    """The rows from `start` on as they are now, with what came before them where they were the list's `first`."""
    page = source.page(session, moment, limit=count + 1, at=start)
    last = len(page.rows) <= count
    if not first and page.rows:
        return page, False, last
    above = source.page(session, moment, limit=_PAGE, before=start)
    if len(above.rows) == _PAGE or not page.rows:
        page = source.page(session, moment, limit=_PAGE)
        return page, True, len(page.rows) < _PAGE
    return Page((*above.rows, *page.rows), (*above.cursors, *page.cursors)), True, last


def _before(session: Session, source: Source[Any], moment: Moment, cursor: Cursor) -> int:
    return source.count_before(session, moment, cursor)
