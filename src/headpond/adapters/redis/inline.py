"""A server for event loops on virtual time: each call is made where it stands, and waited for.

Nothing here takes time by the loop's clock, so a run is deterministic.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from typing_extensions import override

from headpond.adapters.redis.clients import TIMEOUT_S, blocking
from headpond.adapters.redis.failures import translated
from headpond.adapters.redis.news import Signal, Signals
from headpond.adapters.redis.server import Call, Command, Server


class InlineServer(Server):
    """Blocks the event loop. Hears what is said in its own calls, after each of them."""

    def __init__(self, url: str) -> None:
        self._client = blocking(url)
        self._pubsub = self._client.pubsub()
        self._signals = Signals()

    def close(self) -> None:
        """Close the connections."""
        self._pubsub.close()
        self._client.close()

    @override
    async def run(self, call: Call | Command) -> Any:
        try:
            result = self._client.execute_command(*call.in_full)
        except Exception as error:
            raise translated(error) from error
        if self._signals.channels:
            self._listen()
        return result

    @override
    @asynccontextmanager
    async def hear(self, channel: str, signal: Signal) -> AsyncGenerator[None]:
        if self._signals.add(channel, signal):
            self._pubsub.subscribe(channel)
        try:
            yield
        finally:
            if self._signals.remove(channel, signal):
                self._pubsub.unsubscribe(channel)

    def _listen(self) -> None:
        """All that has been said, and not more: it stands before the answer to a ping."""
        self._pubsub.ping()
        while (message := self._pubsub.get_message(timeout=TIMEOUT_S)) is not None:
            if message["type"] == "pong":
                return
            if message["type"] == "message":
                self._signals.notify(message["channel"].decode())
