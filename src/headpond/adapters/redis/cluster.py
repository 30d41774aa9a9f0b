"""A cluster: each call goes to the master that has its keys."""

import asyncio
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from headpond.adapters.redis.clients import clustered
from headpond.adapters.redis.server import Argument, RedisServer

AT_ONCE = 64
"""Each takes a connection, of which the library has 100 for a node and no patience for another."""


class RedisClusterServer(RedisServer):
    """The library sends no scripts in a pipeline here, so calls go out side by side.

    What is said in a channel is heard at every node.
    """

    @override
    def _connect(self, url: str) -> Any:
        return clustered(url)

    @override
    async def _send(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        try:
            # Left to the calls, each would look for the nodes, and close connections of the others.
            await self._client.initialize()
        except Exception as error:  # noqa: BLE001 - it goes to whoever called
            return [error] * len(commands)
        turns = asyncio.Semaphore(AT_ONCE)

        async def call(command: Sequence[Argument]) -> Any:
            async with turns:
                return await self._client.execute_command(*command)

        return await asyncio.gather(*map(call, commands), return_exceptions=True)
