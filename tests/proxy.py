"""Between a client and PostgreSQL: hands on what they say, and cuts their connections when it is told to.

It knows so much of the protocol that it sees a COMMIT come, and its answer.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum, auto
from types import TracebackType
from typing import Final, Self

from tests import postgres

_LONGEST: Final = 60.0


class Cut(Enum):
    """What becomes of a COMMIT."""

    NONE = auto()
    BEFORE = auto()  # it does not reach the server
    AFTER = auto()  # it is done, and its answer does not come back


class Proxy:
    """Listens on a port of 127.0.0.1, for the cluster whose socket lies in `folder`, and which has that port."""

    def __init__(self, folder: str | None = None, port: int = 5432) -> None:
        self._server = f"{folder or os.environ[postgres.SERVER]}/.s.PGSQL.{port}"
        self._lock = threading.Lock()
        self._cuts: deque[Cut] = deque()
        self._pairs: set[_Pair] = set()
        self._listening: socket.socket | None = None
        self.port = 0
        self.connected = 0  # how often somebody was
        self.sent = 0  # messages to the server
        self.done: list[Cut] = []
        self.on_cut: Callable[[Cut], object] = lambda cut: None
        self.listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self.cut()

    def url(self, name: str) -> str:
        """The URL by which one of the cluster's databases is reached through here."""
        return f"postgresql://smartsub@127.0.0.1:{self.port}/{name}"

    def plan(self, cuts: Iterable[Cut]) -> None:
        """What becomes of the next COMMITs, one after the other, whoever sends them."""
        with self._lock:
            self._cuts.extend(cuts)

    def take(self) -> Cut:
        with self._lock:
            cut = self._cuts.popleft() if self._cuts else Cut.NONE
            self.done.append(cut)
        return cut

    def cut(self) -> None:
        """Cut all connections."""
        with self._lock:
            pairs = list(self._pairs)
        for each in pairs:
            each.cut()

    def abandon(self) -> None:
        """Cut all connections, and let the server believe that they are there, until cut()."""
        with self._lock:
            pairs = list(self._pairs)
        for each in pairs:
            each.abandon()

    def refuse(self) -> None:
        """Take no connection any more, as a machine on which nothing listens."""
        listening, self._listening = self._listening, None
        if listening is not None:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept()
            listening.close()

    def listen(self) -> None:
        """Take connections, again on the same port."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen(64)
        self.port, self._listening = listening.getsockname()[1], listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._server)
            except OSError:
                client.close()
                continue
            pair = _Pair(self, client, server)
            with self._lock:
                self.connected += 1
                self._pairs.add(pair)
            pair.start()

    def left(self, pair: _Pair) -> None:
        with self._lock:
            self._pairs.discard(pair)


class _Pair:
    """One connection, as two threads that carry what is said."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._silent = threading.Event()  # nothing goes back to the client any more
        self._committed = threading.Event()
        self._abandoned = False

    def start(self) -> None:
        for carry in (self._to_the_server, self._to_the_client):
            threading.Thread(target=carry, daemon=True).start()

    def abandon(self) -> None:
        self._abandoned = True
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for end in (self._client, self._server):
            end.close()
        self._proxy.left(self)

    def _end(self) -> None:
        if not self._abandoned:
            self.cut()

    def _to_the_server(self) -> None:
        """Message by message; the first ones, before a query can come, have no type."""
        typed = False
        with suppress(OSError):
            while (head := _exactly(self._client, 5 if typed else 4)) is not None:
                (length,) = struct.unpack("!I", head[-4:])
                body = _exactly(self._client, length - 4)
                if body is None:
                    break
                # A request for TLS or to cancel is as short as that, and is answered by itself.
                typed = typed or length > 16
                cut = self._proxy.take() if head[:1] == b"Q" and body == b"COMMIT\0" else Cut.NONE
                if cut is Cut.BEFORE:
                    self._proxy.on_cut(cut)
                    break
                if cut is Cut.AFTER:
                    self._silent.set()
                self._server.sendall(head + body)
                self._proxy.sent += 1
                if cut is Cut.AFTER:
                    assert self._committed.wait(_LONGEST), "the COMMIT was not answered"
                    self._proxy.on_cut(cut)
                    break
        self._end()

    def _to_the_client(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(65536):
                if not self._silent.is_set():
                    self._client.sendall(data)
                elif b"COMMIT\0" in data:  # the answer to it, small enough to come in one piece
                    self._committed.set()
        self._end()


def _exactly(source: socket.socket, length: int) -> bytes | None:
    data = b""
    while len(data) < length:
        more = source.recv(length - len(data))
        if not more:
            return None
        data += more
    return data
