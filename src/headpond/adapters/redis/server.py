"""A connection to a server: calls of scripts, and what is said in its channels.

What this process calls while a call is under way goes out together in the next round trip: one
connection serves many callers, and with `appendfsync always` they share an fsync.

A call that finds its connection broken is made once more, as after a restart of the server. So a
script may run twice, and each must bear that: a message that is sent twice is one; what was handed
out to nobody comes again when its lease lapses.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec
from redis.exceptions import NoPermissionError, NoScriptError
from typing_extensions import override

from headpond.adapters.redis.clients import calling, listening
from headpond.adapters.redis.failures import FAILURES, refused, translated
from headpond.adapters.redis.news import News, Signal
from headpond.adapters.redis.script import Script
from headpond.errors import SettingsError

Argument = str | int | float | bytes


class Command(msgspec.Struct, frozen=True):
    """A command of one key."""

    words: tuple[Argument, ...]

    @property
    def by_digest(self) -> tuple[Argument, ...]:
        """There is no script in it."""
        return self.words

    in_full = by_digest


class Call(msgspec.Struct, frozen=True):
    """A script to run. All its keys must have one hash tag, if they are several."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[Argument] = ()

    @property
    def by_digest(self) -> tuple[Argument, ...]:
        """The command for a server that knows the script."""
        return ("EVALSHA", self.script.digest, len(self.keys), *self.keys, *self.arguments)

    @property
    def in_full(self) -> tuple[Argument, ...]:
        """The command for one that does not."""
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.arguments)


class Server(Protocol):
    """What the adapters need of a server."""

    async def run(self, call: Call | Command) -> Any:
        """What the script or command returns; text as bytes. Raises Unavailable."""
        ...

    def hear(self, channel: str, signal: Signal) -> AbstractAsyncContextManager[None]:
        """Notify the signal of what is said in a channel, for as long as the context lasts."""
        ...


class RedisServer(Server):
    """One server, connected to when it is used first."""

    def __init__(self, url: str) -> None:
        self._client = self._connect(url)
        self._news = News(listening(url))
        self._waiting: list[tuple[Call | Command, asyncio.Future[Any]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raise SettingsError if it lets us not in, or would make room by throwing keys away.

        A server that does not answer is not asked again.
        """
        try:
            memory = await self._client.info("memory")
        except NoPermissionError:
            return  # that is for others to ask
        except FAILURES as error:
            if refusal := refused(error):
                raise SettingsError(f"The Redis server says: {refusal}. See its URL.") from error
            return
        policy = memory.get("maxmemory_policy", "")
        if policy.startswith("allkeys"):
            message = (
                f"The Redis server throws keys away when it is full (maxmemory-policy {policy}): "
                "jobs would be lost. Set it to noeviction, or use another server."
            )
            raise SettingsError(message)

    async def close(self) -> None:
        """Finish what was called, then close the connections."""
        await self._news.close()
        if self._sender is not None:
            await self._sender
        await self._client.aclose()

    @override
    async def run(self, call: Call | Command) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, future))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all(), name="redis calls")
        return await future

    @override
    def hear(self, channel: str, signal: Signal) -> AbstractAsyncContextManager[None]:
        return self._news.hear(channel, signal)

    def _connect(self, url: str) -> Any:
        return calling(url)

    async def _send_all(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting, []
            results = await self._results([call for call, _ in calls])
            for (_, future), result in zip(calls, results, strict=True):
                if future.done():
                    continue  # whoever called does not wait any more
                if isinstance(result, Exception):
                    future.set_exception(translated(result))
                else:
                    future.set_result(result)
        self._sender = None

    async def _results(self, calls: Sequence[Call | Command]) -> list[Any]:
        """What becomes of each; its exception, if it fails."""
        results = await self._send([call.by_digest for call in calls])
        unknown = [n for n, result in enumerate(results) if isinstance(result, NoScriptError)]
        if unknown:
            again = await self._send([calls[number].in_full for number in unknown])
            for number, result in zip(unknown, again, strict=True):
                results[number] = result
        return results

    async def _send(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            return await pipeline.execute(raise_on_error=False)
        except Exception as error:  # noqa: BLE001 - it goes to whoever called
            return [error] * len(commands)
