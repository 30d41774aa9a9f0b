"""Bells: who waits for something is told by whichever process brings it about.

NOTIFY inside a transaction would make commits wait for each other: the server lets one at a time
notify, until it is on the disk. So it is sent after the commit, by itself, unsynced, and what
gathers while one is on its way goes with the next. If the process dies in between, or a connection
does, nobody is told: whoever waits looks again by itself after a while.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from enum import StrEnum

from headpond.adapters.postgres.connection import Connection
from headpond.errors import HeadpondError

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0
"""A safety net: how long something can stay unseen if nobody rings."""

PAYLOAD = 7_500
"""Most bytes of one notification; the server takes 7,999."""

PING_EVERY_S = 10.0
"""A connection that only listens would not notice that the server is gone."""

CONNECT_AGAIN_S = (0.1, 0.5, 1.0, 2.0)


class Bell(StrEnum):
    """What can be listened to; the words are names of lanes, or ids of jobs."""

    LANES = "lanes"
    JOBS = "jobs"
    STREAMS = "streams"


class Bells:
    """`send` tells what rang, `connect` gives a connection of its own to listen on."""

    def __init__(
        self,
        send: Callable[[list[str], list[str]], Awaitable[object]],
        connect: Callable[[], Awaitable[Connection]],
    ) -> None:
        self._send = send
        self._connect = connect
        self._prefix = "headpond"
        self._rung: dict[Bell, dict[str, None]] = {bell: {} for bell in Bell}
        self._sending: asyncio.Task[None] | None = None
        self._ears: dict[Bell, dict[str, list[asyncio.Event]]] = {bell: {} for bell in Bell}
        self._wanted: set[Bell] = set()
        self._connection: Connection | None = None
        self._listening: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def start(self, prefix: str) -> None:
        """Channels begin with `prefix`, so that schemas of one database do not hear each other."""
        self._prefix = prefix
        self._listening = asyncio.create_task(self._listen(), name="listen")

    async def close(self) -> None:
        """Ring what is left to ring, and listen no more."""
        if self._sending is not None:
            await asyncio.wait([self._sending])
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    def ring(self, bell: Bell, words: Iterable[str]) -> None:
        """Tell everybody who listens, soon."""
        self._rung[bell].update(dict.fromkeys(words))
        if self._sending is None and self._rung[bell]:
            self._sending = asyncio.create_task(self._send_all(), name="ring")

    @contextlib.contextmanager
    def hearing(self, bell: Bell, words: Iterable[str]) -> Generator[asyncio.Event]:
        """An event that is set when one of the words is rung, or may have been unheard."""
        heard, ears = asyncio.Event(), self._ears[bell]
        if bell not in self._wanted:
            self._wanted.add(bell)
            self._changed.set()
        for word in words:
            ears.setdefault(word, []).append(heard)
        try:
            yield heard
        finally:
            for word in words:
                ears[word].remove(heard)
                if not ears[word]:
                    del ears[word]

    async def _send_all(self) -> None:
        try:
            while any(self._rung.values()):
                rung, self._rung = self._rung, {bell: {} for bell in Bell}
                pairs = [
                    (self._channel(bell), payload)
                    for bell, words in rung.items()
                    for payload in payloads(words)
                ]
                # Unheard, it is seen at the next look.
                with contextlib.suppress(HeadpondError):
                    await self._send(
                        [channel for channel, _ in pairs], [words for _, words in pairs]
                    )
        finally:
            self._sending = None

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                await self._listen_on_one_connection()
                failures = 0
            except HeadpondError:
                await asyncio.sleep(CONNECT_AGAIN_S[min(failures, len(CONNECT_AGAIN_S) - 1)])
                failures += 1
            except Exception:
                log.exception("listening failed")
                await asyncio.sleep(CONNECT_AGAIN_S[-1])

    async def _listen_on_one_connection(self) -> None:
        connection = await self._connect()
        try:
            connection.add_termination_listener(lambda *_: self._changed.set())
            listened: set[Bell] = set()
            while not connection.is_closed():
                self._changed.clear()
                for bell in self._wanted - listened:
                    await connection.add_listener(self._channel(bell), self._hear)
                    listened.add(bell)
                    self._wake(bell, list(self._ears[bell]))
                try:
                    async with asyncio.timeout(PING_EVERY_S):
                        await self._changed.wait()
                except TimeoutError:
                    await connection.fetch("SELECT 1")
        finally:
            connection.terminate()

    def _hear(self, _: object, __: int, channel: str, payload: str) -> None:
        self._wake(Bell(channel.rpartition("_")[2]), payload.split("\n"))

    def _wake(self, bell: Bell, words: Iterable[str]) -> None:
        ears = self._ears[bell]
        for word in words:
            for heard in ears.get(word, ()):
                heard.set()

    def _channel(self, bell: Bell) -> str:
        return f"{self._prefix}_{bell}"


def payloads(words: Iterable[str]) -> Iterator[str]:
    """The words by the line, in as few payloads as the server takes."""
    lines, size = list[str](), 0
    for word in words:
        added = len(word.encode()) + 1
        if lines and size + added > PAYLOAD:
            yield "\n".join(lines)
            lines, size = [], 0
        lines.append(word)
        size += added
    if lines:
        yield "\n".join(lines)
