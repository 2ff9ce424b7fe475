"""What is typed behind `:`, on every screen: commands by their name, and words that lead somewhere.

`:payments status:failed`, `:order 123`, `:office Oak`; and every command of the screen, as `:by-status`. What a line
means is found out first, by the same rules as for keys; keys that are typed behind it wait until it is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from smartsub_tui.backend import Superseded
from smartsub_tui.billing import views
from smartsub_tui.billing.session import Session
from smartsub_tui.commands import (
    CLOSED,
    COMMANDS,
    EVERYWHERE,
    OF_SCREEN,
    ORDER_ACTIONS,
    SOMETIMES,
    TYPED,
    Command,
    nearest,
)
from smartsub_tui.data import queries
from smartsub_tui.data.filter_words import Names, complete
from smartsub_tui.data.filters import FilterError, Moment, parse_orders, quoted
from smartsub_tui.data.records import OfficeRecord, ViewRecord
from smartsub_tui.data.text import folded
from smartsub_tui.display import plain
from smartsub_tui.errors import NotFound, Refused, SmartsubError, WrongUsage
from smartsub_tui.screens.base import BaseScreen
from smartsub_tui.widgets.command_line import CommandLine, Offer
from smartsub_tui.widgets.frame import run_command

_OPENERS: Final = ("command", "palette")  # of the line itself
_SHORT: Final = {"q": "quit"}
_NAMED: Final = 3  # of several that are meant
_LETTERS: Final = 3  # fewer begin too many words

Deed = Callable[[], Awaitable[None] | None]


class WrongWord(WrongUsage):
    """A line that is no command. `start` and `end` are offsets of the wrong characters in it."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start, self.end = start, end


async def speak(screen: BaseScreen, text: str = "", *, listing: bool = False) -> None:
    """Open the line over a screen, with `text` in it."""
    if screen.close_line is None and screen.is_on_top:  # the key may come late, to a screen that was left
        words = Words(screen)
        await screen.mount(words.line_with(text, listing=listing))
        # Meanwhile a click, or another mode, may have closed it, or the screen was left.
        if words.is_open and words.line.is_made:
            screen.set_focus(words.line.field)
            screen.work("names", words.read_names)


class Words:
    """What can be said on a screen, as it was when the line was opened."""

    line: CommandLine

    def __init__(self, screen: BaseScreen) -> None:
        self._screen, self._host = screen, screen.smartsub
        self._focused = screen.focused
        self._shown = screen.key_line.shown
        self._names: Mapping[str, Sequence[str]] = {}  # by the word that they stand behind
        self._of_filters: Names = {}
        self.is_open = True
        self._held: object = None  # what is typed behind the line
        screen.close_line = self._close

    def line_with(self, text: str, *, listing: bool) -> CommandLine:
        self.line = CommandLine(
            text,
            listing=listing,
            history=self._host.said,
            offers=self.offers,
            reads=self.reads,
            hint=self.hint,
            leave=self._left,
        )
        return self.line

    async def read_names(self) -> None:
        """The names that can stand behind a word, and in a filter."""
        self._names, self._of_filters = await self._screen.backend.latest("spoken names", _names)
        if self.is_open:
            self.line.show()

    # The line, while it is typed

    @property
    def _here(self) -> tuple[str, ...]:
        """The ids of what has a meaning here: the screen's own first."""
        ids = dict.fromkeys((*self._screen.COMMANDS_HERE, *TYPED, *EVERYWHERE))
        return tuple(each for each in ids if each not in _OPENERS and each not in CLOSED)

    def _possible(self, id: str) -> bool:
        return id not in SOMETIMES or not self._shown or id in self._shown or id not in self._screen.COMMANDS_HERE

    def offers(self, line: str) -> list[Offer]:
        """What the line can become."""
        word, space, rest = line.partition(" ")
        if space and _id_of(word) == "payments":
            return self._filters(word, rest)
        if space:
            names = self._names.get(_id_of(word), ())
            low = rest.strip().lower()
            found = sorted((each for each in names if low in each.lower()), key=lambda each: _rank(each, low))
            return [Offer(f"{word} {each}", each) for each in found]
        low = word.lower()
        commands = [COMMANDS[each] for each in self._here if self._possible(each) and _matches(COMMANDS[each], low)]
        return [self._offer(each) for each in sorted(commands, key=lambda each: _rank(each.name, low))]

    def _filters(self, word: str, text: str) -> list[Offer]:
        """What the filter at the end of the line can become."""
        today = self._screen.moment().today
        completion = complete(text, len(text), "orders", names=self._of_filters, today=today)
        if completion is None:
            return []
        taken = [(offer.word, completion.take(text, place)[0]) for place, offer in enumerate(completion.offers)]
        return [Offer(f"{word} {line}", each, needs=each.endswith(":")) for each, line in taken]

    def _offer(self, command: Command) -> Offer:
        line = f"{command.name} " if command.needs else command.name
        has_key = command.id in EVERYWHERE or command.id in self._screen.COMMANDS_HERE
        return Offer(line, command.form, command.shown if has_key else "", command.help, command.needs)

    def reads(self, line: str) -> bool:
        """Whether the line can be run as it stands, as far as can be told without asking the database."""
        try:
            command, rest, _ = self._read(line)
            if command.id == "payments":
                parse_orders(rest)
        except WrongUsage:
            return False
        names = self._names.get(command.id)
        return not names or folded(rest) in map(folded, names)

    def hint(self, line: str) -> str:
        """What the command of the line does."""
        word = line.partition(" ")[0]
        id = _id_of(word)
        return _said(COMMANDS[id]) if id in self._here else ""

    # The line, once it is entered

    def _left(self, line: str | None) -> None:
        if line is None:
            self._close()
            return
        self._host.said.append(line)
        self.line.wait()
        work = self._host.write(lambda: self._obey(line))

        def stop() -> None:
            work.cancel()
            if self.is_open:
                self.line.resume()

        self._held = self._host.hold(stop)

    async def _obey(self, line: str) -> None:
        try:
            deed = await self.understand(line)
        except WrongWord as error:
            self._refuse(error.message, error.start, error.end)
        except SmartsubError as error:
            if self._host.is_ending:
                raise
            start = len(line) - len(line.partition(" ")[2].lstrip())
            self._refuse(error.message, start, len(line))
        except Superseded:
            self._refuse("something else was asked meanwhile: Enter asks again", 0, len(line))
        else:
            self._close()
            try:
                done = deed()
                if done is not None:
                    await done
            finally:
                if self._host.still_holds(self._held):  # else it waits for a question, or a list, of what was done
                    self._host.let_go()

    def _refuse(self, message: str, start: int, end: int) -> None:
        """The line stays; what was typed behind it was meant for what did not come."""
        self._host.drop()
        if self.is_open:
            self.line.refuse(message, start, end)

    def _close(self) -> None:
        if self.is_open:
            self.is_open, self._screen.close_line = False, None
            # Left before it was made, it has no field yet.
            if self.line.is_mounted and self._screen.focused is self.line.field:
                self._screen.set_focus(self._focused)
            self.line.remove()

    async def understand(self, line: str) -> Deed:
        """What is to be done for a line; raises SmartsubError where it is nothing, WrongWord with the place."""
        command, rest, at = self._read(line)
        host = self._host
        match command.id:
            case "payments" if rest:
                try:
                    chosen = parse_orders(rest)
                except FilterError as error:
                    raise WrongWord(error.message, at + error.start, at + error.end) from error
                return lambda: host.open_payments(chosen.describe())
            case "order":
                found = await self._screen.backend.patient("spoken", _find_orders, rest, self._screen.moment())
                if len(found) == 1:
                    return lambda: host.open_order(found[0])
                return lambda: host.open_payments(quoted(rest))
            case "office":
                office = await self._screen.backend.latest("spoken", _find_office, rest)

                def renew() -> None:
                    if self._screen.may_leave():
                        host.open_renew(office)

                return renew
            case "view":
                view = await self._screen.backend.latest("spoken", views.find_view, rest)
                return lambda: host.open_payments(view.filter, view.sort)
            case "save" | "share":
                told = await self._save(rest, shared=command.id == "share")
                return lambda: host.tell(told)
            case "expiring" if "expiring" not in self._screen.COMMANDS_HERE:
                return host.open_expiries
            case _:
                return lambda: run_command(self._screen, command.id)

    def _read(self, line: str) -> tuple[Command, str, int]:
        """The command, what stands behind it, and where that begins; raises WrongWord."""
        word, _, rest = line.lstrip().partition(" ")
        start = len(line) - len(line.lstrip())
        end, at = start + len(word), len(line) - len(rest.lstrip())
        rest = rest.strip()
        id = _id_of(word)
        if id in CLOSED:
            raise WrongWord(CLOSED[id], start, end)
        if id not in self._here:
            raise WrongWord(self._unknown(word, id), start, end)
        command = COMMANDS[id]
        if rest and not command.takes:
            raise WrongWord(f"{command.name} takes nothing behind it", at, at + len(rest))
        if command.needs and not rest:
            raise WrongWord(f"{command.form}: {command.takes} is missing", end, end + 1)
        # What moves an order is asked all the same: it knows why not.
        if not self._possible(id) and id not in ORDER_ACTIONS:
            raise WrongWord(f"{command.name} is not possible now", start, end)
        return command, rest, at

    def _unknown(self, word: str, id: str) -> str:
        elsewhere = [title for title, ids in OF_SCREEN.items() if id in ids]
        if elsewhere:
            return f"{word} is no command of {self._screen.TITLE}, but of {', '.join(elsewhere)}"
        near = nearest(word, [COMMANDS[each].name for each in self._here])
        return f"no command is called {word!r}: {f'did you mean {near}?' if near else 'Tab lists them'}"

    async def _save(self, name: str, *, shared: bool) -> str:
        """Save the list that is shown; what is to be told of it, and of what the name stood for until now."""
        listed = self._screen.listed_as()
        if listed is None:
            raise Refused("this screen shows no list that could be saved")
        saved, before = await self._screen.backend.call(_saved, name, *listed, shared=shared)
        instead = ""
        if before is not None and (before.filter, before.sort) != (saved.filter, saved.sort):
            instead = f", in the place of {before.filter or 'all orders'}, {before.sort}"
        return f"saved view {saved.name}{', for everyone' if shared else ''}{instead}"


def _saved(
    session: Session, name: str, filter_text: str, sort: str, *, shared: bool
) -> tuple[ViewRecord, ViewRecord | None]:
    """The view as it is saved, and the one of this name before."""
    known = views.views(session)
    before = next((each for each in known if each.shared is shared and folded(each.name) == folded(name.strip())), None)
    return views.save_view(session, name, filter_text, sort, shared=shared), before


def _id_of(word: str) -> str:
    name = word.lower()
    return _SHORT.get(name, name.replace("-", "_"))


def _said(command: Command) -> str:
    return f"{command.form}   {command.help}"


def _matches(command: Command, word: str) -> bool:
    """By its name; from a few letters on by its help too."""
    in_help = len(word) >= _LETTERS and any(each.startswith(word) for each in command.help.lower().split())
    return word in command.name or in_help


def _rank(name: str, word: str) -> int:
    """What begins so, then what holds it, then the rest."""
    low = name.lower()
    return 0 if low.startswith(word) else 1 if word in low else 2


def _names(session: Session) -> tuple[Mapping[str, Sequence[str]], Names]:
    """Names by the word or key that they stand behind: those that can be drawn and typed as they are."""
    behind = {"office": queries.office_names(), "view": [each.name for each in views.views(session)]}
    return _typable(behind), _typable(queries.filter_names())


def _typable(names: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {key: [each for each in found if plain(each) == each] for key, found in names.items()}


def _find_orders(session: Session, part: str, moment: Moment) -> list[str]:
    """The order of that number, else two at most whose number holds it; raises NotFound where none does."""
    with suppress(NotFound):
        return [queries.find_order(part).number]
    found = queries.search_orders(parse_orders(quoted(part)), moment, limit=2).rows
    if not found:
        raise NotFound(f"no order's number holds {part!r}")
    return [each.number for each in found]


def _find_office(session: Session, name: str) -> OfficeRecord:
    """The office that is meant: of that name, else the only one that begins so, else the only one that holds it.

    Raises NotFound with the nearest name, Refused with the first names of several.
    """
    known = {each.name: each for each in queries.offices(session.clock.now())}
    low = folded(name)
    for meant in (
        [each for each in known if each == name],
        [each for each in known if folded(each) == low],
        [each for each in known if folded(each).startswith(low)],
        [each for each in known if low in folded(each)],
    ):
        if len(meant) == 1:
            return known[meant[0]]
        if meant:
            more = f" and {len(meant) - _NAMED} more" if len(meant) > _NAMED else ""
            raise Refused(f"{len(meant)} offices are meant: {', '.join(meant[:_NAMED])}{more}")
    raise NotFound(f"no office is called {name!r}: {queries.nearest(name, list(known)) or 'subscriptions lists them'}")
