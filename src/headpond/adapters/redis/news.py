"""Who waits for which channel, and waking them.

A subscription is confirmed by the server, and that is news too: whoever looks first and then waits
misses nothing, although the subscription may begin after the look. So is every new connection,
since what was said in between is lost.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import RedisError

AGAIN_S = 1.0


class Signal:
    """Counts what happened; take `count` before you look, and nothing after your look is missed."""

    def __init__(self) -> None:
        self.count = 0
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Something happened."""
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Until `count` is not `seen` any more, or for `timeout_s` seconds."""
        if self.count != seen:
            return
        event = self._event
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()


class Signals:
    """The signals of those who wait, by channel."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Signal]] = {}

    @property
    def channels(self) -> list[str]:
        """Those that somebody waits for."""
        return list(self._waiting)

    def add(self, channel: str, signal: Signal) -> bool:
        """True if it is the channel's first."""
        first = channel not in self._waiting
        self._waiting.setdefault(channel, []).append(signal)
        return first

    def remove(self, channel: str, signal: Signal) -> bool:
        """True if it was the channel's last."""
        signals = self._waiting[channel]
        signals.remove(signal)
        if not signals:
            del self._waiting[channel]
        return not signals

    def notify(self, channel: str) -> None:
        """Wake those who wait for the channel."""
        for signal in self._waiting.get(channel, ()):
            signal.notify()


class News:
    """One connection that listens for all who wait in this process. Begins with the first."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._connection: Any = None
        self._signals = Signals()
        self._listener: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def hear(self, channel: str, signal: Signal) -> AsyncGenerator[None]:
        """Notify the signal of what is said in a channel, once the server can be reached."""
        first = self._signals.add(channel, signal)
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen(), name="redis news")
        try:
            if first:
                await self._send("SUBSCRIBE", channel)
            yield
        finally:
            if self._signals.remove(channel, signal):
                await self._send("UNSUBSCRIBE", channel)

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait([self._listener])
        await self._client.aclose()

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(RedisError, OSError):
                await self._hear_out()
            await asyncio.sleep(AGAIN_S)

    async def _hear_out(self) -> None:
        """Pass on what is said until the connection breaks."""
        connection = self._client.connection_pool.make_connection()
        try:
            await connection.connect()
            self._connection = connection
            if channels := self._signals.channels:
                await self._send("SUBSCRIBE", *channels)
            while True:
                _, channel, *_ = await connection.read_response()
                self._signals.notify(channel.decode())
        finally:
            self._connection = None
            await connection.disconnect()

    async def _send(self, command: str, *channels: str) -> None:
        """To the server, if there is a connection; a new one begins with all that is wanted."""
        if self._connection is not None:
            with contextlib.suppress(RedisError, OSError):  # the listener fails with it
                await self._connection.send_command(command, *channels)
