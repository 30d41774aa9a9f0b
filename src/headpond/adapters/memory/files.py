"""Files and their bytes in this process's memory."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override

from headpond.domain.file import BlobName, File, FileId
from headpond.errors import NotFound
from headpond.ports.blobs import Blobs, BlobWriter
from headpond.ports.clock import Clock
from headpond.ports.files import FileQuery, FileStore

PIECE = 65_536


class MemoryFileStore(FileStore):
    """Nothing survives the process."""

    def __init__(self) -> None:
        self._files: dict[FileId, File] = {}
        self._disowned: set[BlobName] = set()

    @override
    async def put(self, file: File) -> bool:
        if file.blob in self._disowned:
            return False
        self._files[file.id] = file
        return True

    @override
    async def get(self, file_id: FileId) -> File | None:
        return self._files.get(file_id)

    @override
    async def find(self, query: FileQuery) -> list[File]:
        files = sorted(self._files.values(), key=_age, reverse=not query.oldest_first)
        matching = [
            file
            for file in files
            if file.team == query.team
            and not file.expired(query.now)
            and (query.purpose is None or file.purpose == query.purpose)
        ]
        last = None if query.after is None else self._files.get(query.after)
        if query.after is not None:
            matching = [
                file
                for file in matching
                if last is not None
                and (_age(file) > _age(last) if query.oldest_first else _age(file) < _age(last))
            ]
        return matching[: query.limit]

    @override
    async def expired(self, now: float, limit: int) -> list[File]:
        over = [file for file in self._files.values() if file.expired(now)]
        return sorted(over, key=lambda file: file.expires_at or now)[:limit]

    @override
    async def remove(self, file_id: FileId) -> bool:
        return self._files.pop(file_id, None) is not None

    @override
    async def disown(self, blobs: list[BlobName]) -> list[BlobName]:
        named = {file.blob for file in self._files.values()}
        disowned = [blob for blob in blobs if blob not in named]
        self._disowned.update(disowned)
        return disowned

    @override
    async def stored_bytes(self, team: str, now: float) -> int:
        files = self._files.values()
        return sum(file.size for file in files if file.team == team and not file.expired(now))


class MemoryBlobs(Blobs):
    """Nothing survives the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._blobs: dict[BlobName, tuple[bytes, float]] = {}

    @override
    @asynccontextmanager
    async def create(self, name: BlobName) -> AsyncGenerator[BlobWriter]:
        writer = _Writer()
        yield writer
        self._blobs[name] = (b"".join(writer.pieces), self._clock.now())

    @override
    async def read(self, name: BlobName, offset: int = 0) -> AsyncGenerator[bytes]:
        if name not in self._blobs:
            raise NotFound(f"There is no blob {name!r}.", code="file_not_found")
        data, _ = self._blobs[name]
        for begin in range(offset, len(data), PIECE):
            yield data[begin : begin + PIECE]

    @override
    async def delete(self, name: BlobName) -> None:
        self._blobs.pop(name, None)

    @override
    async def written_before(self, when: float) -> list[BlobName]:
        return [name for name, (_, at) in self._blobs.items() if at < when]


class _Writer(BlobWriter):
    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    @override
    async def write(self, data: bytes) -> None:
        self.pieces.append(data)


def _age(file: File) -> tuple[float, FileId]:
    return file.created_at, file.id
