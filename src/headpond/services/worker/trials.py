"""Trials: when suspects are tried, and how long all else waits for that."""

import asyncio

from headpond.domain.crowd import Crowd
from headpond.services.worker.isolation import Isolation
from headpond.services.worker.load import Load


class Trials:
    """Of one worker. `bound_s` is the longest time that others at the engine are waited for."""

    def __init__(self, isolation: Isolation, load: Load, *, bound_s: float) -> None:
        self._isolation = isolation
        self._load = load
        self._crowd = Crowd(bound_s=bound_s)

    def come_first(self) -> bool:
        """True while nothing is pulled for the sake of suspects."""
        if not self._isolation.pending:
            # However they ended: what they held up is no reason to set later ones aside for longer.
            self._crowd.clear()
            return False
        if not self._isolation.failing and self._aside:
            return False
        self._crowd.holds_up(_now())
        return True

    async def may_begin(self) -> bool:
        """False while the engine runs requests that are not ours: they could be what kills it."""
        await self._load.read()
        return self._crowd.gives_way(_now(), crowded=self._load.crowded)

    def engine_failed(self) -> None:
        """Whoever crowded the engine has failed with it."""
        self._crowd.clear()

    def places(self, limit: int) -> int:
        """How many of a worker's `limit` places are taken by suspects that wait."""
        held = len(self._isolation.waiting)
        if self._aside:
            # They are not about to run. But no worker takes more of them than it could run.
            return max(0, held - limit)
        return held

    @property
    def _aside(self) -> bool:
        return self._crowd.aside(_now())


def _now() -> float:
    return asyncio.get_running_loop().time()
