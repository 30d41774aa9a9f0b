"""States and steps of scaling in this process's memory."""

from typing_extensions import override

from headpond.domain.scaling.state import ScalingState, ScalingStep
from headpond.ports.scaling import ScalingStore


class MemoryScalingStore(ScalingStore):
    """Nothing survives the process."""

    def __init__(self) -> None:
        self._states: dict[str, ScalingState] = {}
        self._steps: list[ScalingStep] = []

    @override
    async def state(self, pool: str) -> ScalingState:
        return self._states.get(pool, ScalingState(pool=pool))

    @override
    async def swap(self, after: ScalingState) -> bool:
        if (await self.state(after.pool)).version != after.version - 1:
            return False
        self._states[after.pool] = after
        return True

    @override
    async def note(self, step: ScalingStep) -> None:
        self._steps.append(step)

    @override
    async def steps(self, pool: str, limit: int) -> list[ScalingStep]:
        mine = [step for step in self._steps if step.pool == pool]
        return sorted(mine, key=lambda step: step.at, reverse=True)[:limit]

    @override
    async def forget(self, before: float) -> int:
        kept = [step for step in self._steps if step.at >= before]
        dropped = len(self._steps) - len(kept)
        self._steps = kept
        return dropped
