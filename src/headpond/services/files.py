"""Files: a team hands them in, looks at them, reads and deletes them."""

import secrets
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import msgspec

from headpond.domain.file import BlobName, File, FileId, Purpose
from headpond.domain.identity import Identity, time_ordered_id
from headpond.errors import InvalidRequest, NotFound, Unavailable
from headpond.ports.batches import BatchStore
from headpond.ports.blobs import Blobs
from headpond.ports.clock import Clock
from headpond.ports.files import FileQuery, FileStore

INPUT_TTL_S = 30 * 86_400.0
"""How long a file that was handed in is kept, unless its owner says otherwise."""

AT_ONCE = 256
FORSAKEN_S = 3_600.0
"""A blob that no file names is somebody's who is still writing, or nobody's after this long."""


class About(msgspec.Struct, frozen=True):
    """What its owner says of a file."""

    filename: str
    purpose: Purpose
    ttl_s: float = INPUT_TTL_S


class Files:
    """Another team's file, one that expired and no file look the same: NotFound."""

    def __init__(
        self,
        store: FileStore,
        blobs: Blobs,
        batches: BatchStore,
        clock: Clock,
        *,
        max_team_bytes: int,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._batches = batches
        self._clock = clock
        self._max_team_bytes = max_team_bytes
        self._random_bits = random_bits
        self._coming: Counter[str] = Counter()

    async def store(
        self, pieces: AsyncIterator[bytes], about: Callable[[], About], identity: Identity
    ) -> File:
        """Keep what the pieces hold; `about` is asked once they have all come.

        If either raises, nothing is left behind. Raises Unavailable where there is no room, and
        InvalidRequest where the team has used its own.
        """
        now = self._clock.now()
        name = "file-" + time_ordered_id(now, self._random_bits(74))
        team = identity.team
        stored = await self._store.stored_bytes(team, now)
        size = 0
        try:
            async with self._blobs.create(BlobName(name)) as blob:
                async for piece in pieces:
                    size += len(piece)
                    self._coming[team] += len(piece)
                    self._check_room(team, stored)
                    await blob.write(piece)
                told = about()
                # Others of the team's may have been stored in the meantime.
                self._check_room(team, await self._store.stored_bytes(team, self._clock.now()))
            file = File(
                id=FileId(name),
                blob=BlobName(name),
                team=team,
                purpose=told.purpose,
                filename=told.filename,
                size=size,
                created_at=now,
                expires_at=now + told.ttl_s,
            )
            if not await self._store.put(file):
                raise removed_meanwhile(file)
        finally:
            self._coming[team] -= size
            self._coming = +self._coming
        return file

    async def file(self, file_id: FileId, identity: Identity) -> File:
        """What is known of the file. Raises NotFound."""
        file = await self._store.get(file_id)
        if file is None or file.team != identity.team or file.expired(self._clock.now()):
            message = f"There is no file {file_id!r}."
            raise NotFound(message, code="file_not_found", param="id")
        return file

    async def find(self, query: FileQuery) -> list[File]:
        """The files that match."""
        return await self._store.find(query)

    def read(self, file: File) -> AsyncGenerator[bytes]:
        """The bytes of a file that was looked at here."""
        return self._blobs.read(file.blob)

    async def delete(self, file_id: FileId, identity: Identity) -> None:
        """Delete the file. Raises NotFound, and InvalidRequest while a batch reads it."""
        file = await self.file(file_id, identity)
        if await self._batches.reads(file.id):
            message = f"A batch that has not ended reads {file_id!r}; cancel it first."
            raise InvalidRequest(message, code="file_in_use", param="id", status=409)
        await self._remove(file)

    async def remove_old(self) -> None:
        """Remove files whose time is over, and bytes that a process left when it died."""
        now = self._clock.now()
        for file in await self._store.expired(now, AT_ONCE):
            if not await self._batches.reads(file.id):
                await self._remove(file)
        # Whoever slept since it wrote them and comes to name them now is refused.
        for name in await self._store.disown(await self._blobs.written_before(now - FORSAKEN_S)):
            await self._blobs.delete(name)

    def _check_room(self, team: str, stored: int) -> None:
        """Raises InvalidRequest if what is stored and what is coming are more than is allowed."""
        if stored + self._coming[team] <= self._max_team_bytes:
            return
        message = (
            f"Your team's files hold {stored} bytes, and may hold {self._max_team_bytes} with this "
            "one; delete some (batches.max_team_bytes)."
        )
        raise InvalidRequest(message, code="file_quota_exceeded", param="file", status=413)

    async def _remove(self, file: File) -> None:
        """The record first: no record may name bytes that are gone."""
        await self._store.remove(file.id)
        await self._blobs.delete(file.blob)


def removed_meanwhile(file: File) -> Unavailable:
    """Its writer took so long that its bytes were taken for forsaken and removed."""
    message = f"The bytes of {file.filename!r} were removed before they were recorded; try again."
    return Unavailable(message, code="file_removed")
