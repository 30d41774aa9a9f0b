"""States and steps of scaling in a PostgreSQL database."""

from typing_extensions import override

from headpond.adapters.postgres.database import Database
from headpond.domain.scaling.state import ScalingState, ScalingStep
from headpond.domain.scaling.stored import record_of, state_of, step_of
from headpond.ports.scaling import ScalingStore


class PostgresScalingStore(ScalingStore):
    """Scalers and commands of every process that opens the database share it. Not synced."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def state(self, pool: str) -> ScalingState:
        rows = await self._database.read("get_scaling_state", pool)
        return state_of(rows[0][0]) if rows else ScalingState(pool=pool)

    @override
    async def swap(self, after: ScalingState) -> bool:
        row = (after.pool, after.version, record_of(after))
        return bool(await self._database.write("swap_scaling_state", *row, synced=False))

    @override
    async def note(self, step: ScalingStep) -> None:
        row = (step.pool, step.at, record_of(step))
        await self._database.write("note_scaling_step", *row, synced=False)

    @override
    async def steps(self, pool: str, limit: int) -> list[ScalingStep]:
        rows = await self._database.read("scaling_steps", pool, limit)
        return [step_of(record) for (record,) in rows]

    @override
    async def forget(self, before: float) -> int:
        return len(await self._database.write("forget_scaling_steps", before, synced=False))
