"""What the autoscaler keeps: a state for each pool, and its steps for whoever asks why."""

from typing import Protocol

from headpond.domain.scaling.state import ScalingState, ScalingStep


class ScalingStore(Protocol):
    """States under compare-and-set. Neither need survive a power cut: what is lost is measured."""

    async def state(self, pool: str) -> ScalingState:
        """The state as it stands; a new one, of version 0, if there is none."""
        ...

    async def swap(self, after: ScalingState) -> bool:
        """Replace the state iff the stored version is `after.version - 1`; False if not."""
        ...

    async def note(self, step: ScalingStep) -> None:
        """Add a step."""
        ...

    async def steps(self, pool: str, limit: int) -> list[ScalingStep]:
        """The last steps of a pool, the newest first."""
        ...

    async def forget(self, before: float) -> int:
        """Drop steps from before that Unix time; returns how many.

        A store whose service removes them by itself may leave them to it for some days.
        """
        ...
