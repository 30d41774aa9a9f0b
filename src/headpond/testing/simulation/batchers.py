"""Teams that make batches: they hand files in, cancel now and then, delete too early, and wait."""

import asyncio
import contextlib
from functools import partial

from headpond.domain.batch import Batch
from headpond.domain.file import File, FileId, Purpose
from headpond.domain.job import BatchId
from headpond.errors import InvalidRequest, NotFound
from headpond.services.batches import BatchOrder
from headpond.services.files import About
from headpond.testing.simulation.asking import Asker, NoAnswer, Outside
from headpond.testing.simulation.batch_ledger import BatchLedger, Sheet
from headpond.testing.simulation.parts import GatewayPart
from headpond.testing.simulation.plan import Fault
from headpond.testing.simulation.sheets import Request

LOOK_EVERY_S = 2.0
LINES = (5, 8, 12, 40)
WINDOWS_S = (6, 20, 600, 600)
TTLS_S = (45.0, 3600.0, 3600.0)


class Batcher(Asker):
    """One for each team."""

    def __init__(self, team: str, outside: Outside, ledger: BatchLedger) -> None:
        super().__init__(f"batcher-{team}", team, outside)
        self._ledger = ledger

    async def run(self) -> None:
        """Make the batches of the plan and see each to its end."""
        batches: list[asyncio.Task[None]] = []
        for number in range(self._plan.batches):
            await asyncio.sleep(self._dice.choice((0.0, 1.0, 5.0)))
            batches.append(asyncio.create_task(self._batch(f"{self.name}/{number}")))
        await asyncio.gather(*batches)

    async def _batch(self, name: str) -> None:
        sheet = self._sheet()
        about = About(f"{name}.jsonl", Purpose.BATCH, self._dice.choice(TTLS_S))
        file = await self.insist(partial(_upload, self, sheet, about))
        if file is None:
            return
        self._ledger.handed_in(file, sheet)
        deleting = [self._delete(file.id)] if self.chance(0.05) else []
        batch, *_ = await asyncio.gather(self._create(file.id, name), *deleting)
        if batch is None:
            return
        if not deleting:
            self._ledger.reads_on.add(batch.id)
        if self.chance(0.3):
            await asyncio.sleep(self._dice.choice((0.0, 0.3, 2.0, 8.0)))
            await self._cancel(batch.id)
        if self.chance(0.15):
            await asyncio.sleep(self._dice.choice((0.0, 0.3, 2.0)))
            await self._delete(file.id)
        await self._see_to_its_end(batch.id)

    def _sheet(self) -> Sheet:
        """The lines of a file, some with a mistake, and some blank."""
        requests = [
            Request(f"line-{number}", poison=self._fates.strikes(Fault.POISON, self._dice))
            for number in range(self._dice.choice(LINES))
        ]
        if self.chance(0.15):
            requests.append(self._dice.choice((Request("unfit", fit=False), requests[0])))
        return Sheet(tuple(requests), blank_after=self._dice.randrange(len(requests)))

    async def _create(self, file_id: FileId, name: str) -> Batch | None:
        """A batch of the file; where no answer came, there may be another one of it."""
        ttl_s = self._dice.choice((None, None, 30))
        for number in range(1, 6):
            order = BatchOrder(
                # Its lines are orders of this name.
                endpoint=f"{name} try {number}",
                input_file=file_id,
                completion_window="any",
                window_s=self._dice.choice(WINDOWS_S),
                output_ttl_s=ttl_s,
            )
            try:
                return await self.ask(partial(_create, self, order))
            except NoAnswer:
                await asyncio.sleep(1.0)
            except NotFound:  # it is deleted, or its time was over
                return None
        return None

    async def _cancel(self, batch_id: BatchId) -> None:
        self._ledger.cancels.add(batch_id)
        try:
            batch = await self.insist(
                lambda gateway: gateway.batches.cancel(batch_id, self.identity)
            )
        except InvalidRequest:  # every line has ended
            return
        if batch is not None:
            self._ledger.saw(batch)

    async def _delete(self, file_id: FileId) -> None:
        self._ledger.deletes.add(file_id)
        # A batch reads it; or an earlier try has deleted it.
        with contextlib.suppress(InvalidRequest, NotFound):
            await self.insist(lambda gateway: gateway.files.delete(file_id, self.identity))

    async def _see_to_its_end(self, batch_id: BatchId) -> None:
        while True:
            batch = await self.insist(
                lambda gateway: gateway.batches.batch(batch_id, self.identity)
            )
            if batch is not None:
                self._ledger.saw(batch)
                if batch.status.ended:
                    return
            await asyncio.sleep(LOOK_EVERY_S)


async def _upload(asker: Asker, sheet: Sheet, about: About, gateway: GatewayPart) -> File:
    return await gateway.files.store(sheet.pieces(), lambda: about, asker.identity)


async def _create(asker: Asker, order: BatchOrder, gateway: GatewayPart) -> Batch:
    return await gateway.batches.create(order, asker.identity)
