"""Token buckets on Redis, in which all gateways count together."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from headpond.adapters.redis.script import script
from headpond.adapters.redis.server import Argument, Call, Server
from headpond.domain.ratelimit import Bucket
from headpond.ports.buckets import Buckets, Draw, Drawn
from headpond.ports.clock import Clock


class RedisBuckets(Buckets):
    """The data model stands on top of `scripts/buckets.lua`."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    @override
    async def take(self, team: str, draws: Sequence[Draw]) -> Drawn:
        taken, levels = await self._run("take", team, draws)
        buckets = [
            Bucket(draw.per_minute, float(level), float(at))
            for draw, (level, at) in zip(draws, levels, strict=True)
        ]
        return Drawn(taken=bool(taken), buckets=buckets)

    @override
    async def give_back(self, team: str, draws: Sequence[Draw]) -> None:
        await self._run("refill", team, draws)

    async def _run(self, name: str, team: str, draws: Sequence[Draw]) -> Any:
        arguments: list[Argument] = [self._clock.now()]
        for draw in draws:
            arguments += (f"{draw.unit}:{draw.per_minute}", draw.per_minute, draw.amount)
        key = f"headpond:buckets:{team}"
        return await self._server.run(Call(script("buckets", name), [key], arguments))
