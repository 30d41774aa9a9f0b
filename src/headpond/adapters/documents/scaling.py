"""States and steps of scaling in a table of documents."""

import secrets

from typing_extensions import override

from headpond.adapters.documents.agenda import agenda, up_to
from headpond.adapters.documents.records import agenda_of
from headpond.adapters.documents.table import (
    LEFT_S,
    Change,
    Item,
    Key,
    Put,
    Table,
    at,
    expires,
    raw,
    shard_of,
)
from headpond.domain.scaling.state import ScalingState, ScalingStep
from headpond.domain.scaling.stored import record_of, state_of, step_of
from headpond.ports.clock import Clock
from headpond.ports.scaling import ScalingStore

PARTITION = "scaling"


class DocumentScalingStore(ScalingStore):
    """Scalers and commands of every process that uses the table share it.

    A step of `keep_s` ago is not told of any more, though it may be there.
    """

    def __init__(self, table: Table, clock: Clock, keep_s: float) -> None:
        self._table = table
        self._clock = clock
        self._keep_s = keep_s

    @override
    async def state(self, pool: str) -> ScalingState:
        item = await self._table.get(Key(PARTITION, pool))
        return ScalingState(pool=pool) if item is None else state_of(raw(item))

    @override
    async def swap(self, after: ScalingState) -> bool:
        to = {"version": after.version, "record": record_of(after).encode()}
        if after.version == 1:
            write = Put({"pk": PARTITION, "sk": after.pool, **to}, absent=True)
        else:
            write = Change(Key(PARTITION, after.pool), to, {"version": after.version - 1})
        return not await self._table.write(write)

    @override
    async def note(self, step: ScalingStep) -> None:
        when = at(step.at, secrets.token_hex(4))
        item: Item = {
            "pk": _steps_of(step.pool),
            "sk": when,
            "agenda": agenda_of("step", shard_of(step.pool)),
            "at": when,
            "record": record_of(step).encode(),
            "expires": expires(step.at + self._keep_s),
        }
        await self._table.write(Put(item))

    @override
    async def steps(self, pool: str, limit: int) -> list[ScalingStep]:
        items = await self._table.under(_steps_of(pool), reverse=True, limit=limit)
        steps = [step_of(raw(item)) for item in items]
        return [step for step in steps if step.at + self._keep_s > self._clock.now()]

    @override
    async def forget(self, before: float) -> int:
        old = await up_to(agenda(self._table, "step", before=at(before - LEFT_S)), None)
        await self._table.delete_many(old)
        return len(old)


def _steps_of(pool: str) -> str:
    return f"steps#{pool}"
