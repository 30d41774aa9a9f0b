"""States and steps of scaling in a SQLite file."""

from typing_extensions import override

from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.scaling.state import ScalingState, ScalingStep
from headpond.domain.scaling.stored import record_of, state_of, step_of
from headpond.ports.scaling import ScalingStore


class SqliteScalingStore(ScalingStore):
    """Scalers and commands of every process that opens the file share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def state(self, pool: str) -> ScalingState:
        row = await self._database.read(
            lambda connection: connection.execute(sql("get_scaling_state"), (pool,)).fetchone()
        )
        return ScalingState(pool=pool) if row is None else state_of(row[0])

    @override
    async def swap(self, after: ScalingState) -> bool:
        row = {"pool": after.pool, "version": after.version, "record": record_of(after)}
        changed = await self._database.write(
            lambda connection: connection.execute(sql("swap_scaling_state"), row).rowcount,
            synced=False,
        )
        return changed > 0

    @override
    async def note(self, step: ScalingStep) -> None:
        row = (step.pool, step.at, record_of(step))
        await self._database.write(
            lambda connection: connection.execute(sql("note_scaling_step"), row), synced=False
        )

    @override
    async def steps(self, pool: str, limit: int) -> list[ScalingStep]:
        return await self._database.read(
            lambda connection: [
                step_of(record)
                for (record,) in connection.execute(sql("scaling_steps"), (pool, limit))
            ]
        )

    @override
    async def forget(self, before: float) -> int:
        return await self._database.write(
            lambda connection: connection.execute(sql("forget_scaling_steps"), (before,)).rowcount,
            synced=False,
        )
