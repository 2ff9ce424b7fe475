"""What every screen has: the masthead, the key line, the trail to it, and the way to ask the database."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.binding import BindingType
from textual.geometry import Size
from textual.reactive import Reactive
from textual.widget import Widget
from textual.widgets import DataTable, Input

from smartsub_tui import display
from smartsub_tui.backend import Backend, Superseded
from smartsub_tui.commands import INTO_FIELDS, bindings
from smartsub_tui.data.filters import Moment
from smartsub_tui.errors import SmartsubError
from smartsub_tui.screens.sized import Sized
from smartsub_tui.widgets.frame import KeyLine, Masthead
from smartsub_tui.widgets.message_line import MessageLine, Told

if TYPE_CHECKING:
    from smartsub_tui.screens.host import Host
    from smartsub_tui.screens.question import Question

T = TypeVar("T")


class BaseScreen(Sized[None]):
    """A whole screen. `COMMANDS_HERE` are its commands in the order of its help, `TITLE` is what it is called there."""

    COMMANDS_HERE: ClassVar[tuple[str, ...]] = ()
    ANY_KEY_LEAVES: ClassVar[bool] = False  # keys are no commands here
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "back", "quit", "help", "messages", "refresh", "command", "palette"
    )
    # Each screen gives the focus itself: coming back to an empty list, Textual would give it to the filter.
    AUTO_FOCUS = ""
    # What gets and loses the focus is painted anew by itself; Textual would paint the whole screen.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self) -> None:
        super().__init__()
        # As many as the application's changes of theme: Textual would style everything anew for each first screen.
        self._css_update_count = 0
        self._listed: object = None
        self._waiting: list[tuple[object, Callable[[], None]]] = []
        self._held: object = None  # what is typed behind them
        self._failed = False  # what was to be listed did not come
        self._here: tuple[str, ...] = ()
        self._behind: object = None  # what is typed behind an answer
        self.close_line: Callable[[], None] | None = None  # the one behind `:`, while it is open

    @property
    def smartsub(self) -> Host:
        return cast("Host", self.app)

    @property
    def backend(self) -> Backend:
        return self.smartsub.backend

    @property
    def timezone(self) -> str:
        return self.smartsub.settings.ui.timezone

    def moment(self) -> Moment:
        """Now, and whose days count."""
        return Moment(self.backend.clock.now(), self.timezone)

    @property
    def masthead(self) -> Masthead:
        return self.query_one(Masthead)

    def show_trail(self, *here: str, note: str = "") -> None:
        """The way to here, on the first line: what is behind this screen, then `here`, the last of which is this one.

        A click on a part before the last of `here` leads where one on the screen behind does.
        """
        self._here = here
        stack = self.app.screen_stack if self in self.app.screen_stack else [self]
        behind = [each for each in stack[: stack.index(self)] if isinstance(each, BaseScreen)]
        trail: list[str] = []
        ups: list[int] = []
        for steps, screen in zip(range(len(behind), 0, -1), behind, strict=True):
            names = screen._here or (screen.TITLE or "",)
            trail += names
            ups += [steps + 1] * (len(names) - 1) + [steps]
        self.masthead.show(*trail, *here, note=note, ups=[*ups, *([1] * (len(here) - 1) if behind else [])])

    @property
    def key_line(self) -> KeyLine:
        return self.query_one(KeyLine)

    # At the start Textual says three times how large the terminal is, and in a batch draws what it then throws away.
    # What was not drawn stays marked to be: the end of the batch asks each screen to look.

    def _screen_resized(self, size: Size) -> None:
        if self.app.size != self._size or not self._compositor.root:
            super()._screen_resized(size)

    def _compositor_refresh(self) -> None:
        if not self.app._batch_count:
            super()._compositor_refresh()

    def work(self, group: str, coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine beside the interface; a newer one of the same group takes its place.

        An expected error becomes a sentence on the screen; an answer that is no longer wanted is dropped.
        """

        async def run() -> None:
            try:
                with self.may_be_left():
                    await coroutine()
            except Superseded:
                pass
            except SmartsubError as error:
                self._failed = self._failed or not self.settled()
                self.forget_waiting()  # what it was to be about does not come
                self.smartsub.tell(error.message, wrong=True)

        # As a function: a coroutine that is replaced before it begins would never be awaited.
        self.run_worker(cast(Any, run), group=group, exclusive=True, exit_on_error=True)

    def unless_left(self, act: Callable[[], None]) -> Callable[[], None]:
        """`act`, for later: nothing, where the screen was left meanwhile and what it would be shown in is gone."""

        def run() -> None:
            if self.smartsub.shows(self):
                act()

        return run

    # What is typed behind the key that asks is meant for the question

    def question(self, ask: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `ask`, which comes to show a question with `answer`, or leads on and says that it `arrived`; what is
        typed until then goes there.

        Where it does neither, that is dropped: what was a reason must not become commands. Esc stops the asking.
        """

        async def run() -> None:
            try:
                await ask()
            finally:
                if self.smartsub.still_holds(held):  # else a question has it, or the next one that is asked for
                    self.smartsub.drop()

        def stop() -> None:
            self.workers.cancel_group(self, "action")

        held = self.smartsub.hold(stop, takes_text=True)
        self.work("action", run)

    def arrived(self) -> None:
        """What `question` asked leads to another screen, which gets what was typed."""
        self.smartsub.hold()
        self.smartsub.let_go()

    async def answer(self, question: Question[T], *, keep: bool = False) -> T | None:
        """Show a question, and what is said to it. What is typed behind the answer waits until it has been taken.

        With `keep`, what is typed behind a Yes waits on: until that is `carried_out`.
        """
        on_its_way = False

        def answering() -> None:
            nonlocal on_its_way
            on_its_way = True
            self.smartsub.decides(1)
            self._behind = self.smartsub.hold(lambda: None)

        question.answering, self._behind = answering, None
        shown = self.app.push_screen(question, wait_for_dismiss=True)
        self.smartsub.hold()  # from here on Esc is an answer, and stops nobody who waits for one
        self.smartsub.let_go()
        try:
            said = await shown
        finally:
            if on_its_way:
                self.smartsub.decides(-1)
        if said is None or not keep:
            self.smartsub.let_go(at_once=True)
        return said

    def carry_out(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do what an `answer` that is kept said Yes to, to its end. What was typed behind it goes to what comes of it,
        and is dropped where it is refused.
        """
        behind = self._behind

        async def run() -> None:
            try:
                await work()
            except BaseException:
                if self.smartsub.still_holds(behind):
                    self.smartsub.drop()
                raise
            if self.smartsub.still_holds(behind):  # else something else was asked for meanwhile, by the mouse
                self.smartsub.let_go(at_once=self.is_on_top)

        # Not in the worker that asked: it ends with its screen, and with the next key that asks.
        self.smartsub.write(run)

    # What is typed behind a list that is not there yet is meant for it

    def asked(self) -> object:
        """What the list should be of, by the fields and switches of the screen."""
        return None

    def settled(self) -> bool:
        """Whether the screen is as it was asked to be, and keys are about what stands on it."""
        return self._listed == self.asked()

    def listed(self, asked: object) -> None:
        """The list is of this now."""
        self._listed, self._failed = asked, False
        self._act()

    def when_listed(self, act: Callable[[], None]) -> None:
        """Do `act` once the list is of what is asked for now, and only then what is typed behind it, as if it had been
        typed later. Neither, where Esc stops it, where something else is asked first, or where no list comes.
        """
        self._waiting.append((self.asked(), act))
        self._act()
        if self._waiting:
            if not self.smartsub.still_holds(self._held):
                self._held = self.smartsub.hold(self.forget_waiting, takes_text=True)
            if self._failed:  # nothing is on its way
                self.load()

    def forget_waiting(self) -> None:
        """Never do what waits for an answer, nor what is typed behind it."""
        self._waiting.clear()
        if self.smartsub.still_holds(self._held):
            self.smartsub.drop()

    def _act(self) -> None:
        if not self.is_on_top:
            self.forget_waiting()
        while self._waiting and self.settled():
            asked, act = self._waiting.pop(0)
            if asked != self._listed:
                self.forget_waiting()
                return
            if not self._waiting and self.smartsub.still_holds(self._held):
                # Behind `act`, which may hold it for a question of its own; from here on it is no longer ours.
                self.smartsub.let_go(at_once=True)
                self._held = None
            act()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a field is typed in, a key that leads into one is a letter like any other."""
        return not (action in INTO_FIELDS and isinstance(self.focused, Input))

    def to_table(self, _key: str = "") -> None:
        """Out of a field, to the one table of the screen."""
        self.set_focus(self.query_one(DataTable))

    def copy(self, text: str, name: str) -> None:
        """Send `text`, as it is shown, to the terminal's clipboard (OSC 52). No terminal says whether it took it."""
        if os.environ.get("TERM") == "linux":
            self.smartsub.tell("the Linux console has no clipboard", wrong=True)
            return
        self.app.copy_to_clipboard(display.plain(text))
        self.smartsub.tell(f"sent {name} to the terminal's clipboard")

    def on_mount(self) -> None:
        self.mount(MessageLine(self.smartsub.told))
        self.show_away()

    def show_away(self) -> None:
        """Say whether what is asked of the database waits until it is back."""
        for masthead in self.query(Masthead):
            masthead.show_away(self.smartsub.is_away)

    def show_told(self, told: Told | None) -> None:
        """Show what was told; None: it was read."""
        for line in self.query(MessageLine):
            line.show(told)

    def load(self) -> None:
        """Read what the screen shows; again when it is come back to."""

    def on_screen_resume(self) -> None:
        self.smartsub.let_go_here()
        self.show_told(self.smartsub.told)
        self.load()

    def read_again(self) -> None:
        """What F5 reads: what was read when the screen came."""
        self.load()

    def action_refresh(self) -> None:
        self.forget_waiting()
        self.read_again()
        self.app.refresh()  # another program may have written over it

    def action_triage(self) -> None:
        self.smartsub.open_triage()

    def on_screen_suspend(self) -> None:
        self.forget_waiting()
        if self.close_line is not None:
            self.close_line()

    def listed_as(self) -> tuple[str, str] | None:
        """Filter and sort of the list of orders that is shown, as text; None where the screen shows none."""
        return None

    def may_leave(self) -> bool:
        """Whether nothing is lost by leaving; where something is, it is told, and the second time it may."""
        return True

    async def action_command(self) -> None:
        from smartsub_tui.screens.spoken import speak

        await speak(self)

    async def action_palette(self) -> None:
        from smartsub_tui.screens.spoken import speak

        await speak(self, listing=True)

    def action_leave(self, steps: int) -> None:
        self.smartsub.go_up(steps)

    def action_back(self) -> None:
        self.smartsub.go_back()

    def action_quit(self) -> None:
        self.smartsub.go_back(leave=True)

    def action_messages(self) -> None:
        from smartsub_tui.screens.messages import MessagesScreen

        self.smartsub.told = None  # it is read there
        self.app.push_screen(MessagesScreen())

    def action_help(self) -> None:
        from smartsub_tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.TITLE or "", self.COMMANDS_HERE))
