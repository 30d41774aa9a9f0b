"""Batches: a team makes them of its files, looks at them, cancels them."""

import secrets
from collections.abc import Callable

import msgspec

from headpond.domain.batch import Batch, BatchStatus
from headpond.domain.facts import BatchAdvanced
from headpond.domain.file import FileId, Purpose
from headpond.domain.identity import Identity, time_ordered_id
from headpond.domain.job import BatchId
from headpond.errors import InvalidRequest, NotFound, RateLimited
from headpond.ports.batches import BatchQuery, BatchStore
from headpond.ports.clock import Clock
from headpond.ports.events import Listener
from headpond.services.files import Files

AGAIN_S = 60.0


class BatchOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for, checked for form by the gateway."""

    endpoint: str
    input_file: FileId
    completion_window: str
    window_s: int
    metadata: dict[str, str] = {}
    output_ttl_s: int | None = None


class Batches:
    """Another team's batch and no batch look the same: NotFound."""

    def __init__(
        self,
        store: BatchStore,
        files: Files,
        clock: Clock,
        listener: Listener,
        *,
        max_open: int,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._listener = listener
        self._max_open = max_open
        self._random_bits = random_bits

    async def create(self, order: BatchOrder, identity: Identity) -> Batch:
        """Make a batch that a runner will find.

        Raises NotFound for a file that is not there, InvalidRequest for one of another purpose,
        RateLimited when the team has as many open batches as it may.
        """
        file = await self._files.file(order.input_file, identity)
        if file.purpose is not Purpose.BATCH:
            message = f"The file {file.id!r} has the purpose {file.purpose}; a batch reads `batch`."
            raise InvalidRequest(message, code="invalid_purpose", param="input_file_id")
        await self._check_room(identity)
        now = self._clock.now()
        batch = Batch(
            id=BatchId("batch_" + time_ordered_id(now, self._random_bits(74))),
            team=identity.team,
            feature=identity.feature,
            endpoint=order.endpoint,
            input_file=file.id,
            completion_window=order.completion_window,
            metadata=order.metadata,
            output_ttl_s=order.output_ttl_s,
            created_at=now,
            expires_at=now + order.window_s,
        )
        await self._store.add(batch)
        self._listener.hear(BatchAdvanced(batch))
        return batch

    async def batch(self, batch_id: BatchId, identity: Identity) -> Batch:
        """The record as it stands. Raises NotFound."""
        batch = await self._store.get(batch_id)
        if batch is None or batch.team != identity.team:
            message = f"There is no batch {batch_id!r}."
            raise NotFound(message, code="batch_not_found", param="id")
        return batch

    async def find(self, query: BatchQuery) -> list[Batch]:
        """The batches that match, newest first."""
        return await self._store.find(query)

    async def cancel(self, batch_id: BatchId, identity: Identity) -> Batch:
        """Cancel the batch; what is done is kept, and one that is cancelled already stays so.

        Raises NotFound, and InvalidRequest when every line has ended.
        """
        while True:
            batch = await self.batch(batch_id, identity)
            match batch.status:
                case BatchStatus.CANCELLING | BatchStatus.CANCELLED:
                    return batch
                case BatchStatus.VALIDATING | BatchStatus.IN_PROGRESS:
                    after = batch.cancelling(self._clock.now())
                    if await self._store.swap(after):
                        self._listener.hear(BatchAdvanced(after))
                        return after
                case _:
                    message = f"The batch is {batch.status}; there is nothing to cancel."
                    raise InvalidRequest(message, code="batch_already_ended", param="id")

    async def _check_room(self, identity: Identity) -> None:
        if await self._store.open_of(identity.team) < self._max_open:
            return
        message = f"Your team has {self._max_open} batches that have not ended; wait for one."
        raise RateLimited(
            message,
            code="too_many_open_batches",
            retry_after_s=AGAIN_S,
            unit="batches",
            limit=self._max_open,
        )
