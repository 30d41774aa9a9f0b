"""A cluster: each call goes to the master that has its keys."""

import asyncio
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from headpond.adapters.redis.clients import clustered
from headpond.adapters.redis.server import Argument, RedisServer


class RedisClusterServer(RedisServer):
    """The library sends no scripts in a pipeline here, so calls go out side by side.

    What is said in a channel is heard at every node.
    """

    @override
    def _connect(self, url: str) -> Any:
        return clustered(url)

    @override
    async def _send(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        calls = (self._client.execute_command(*command) for command in commands)
        return await asyncio.gather(*calls, return_exceptions=True)
