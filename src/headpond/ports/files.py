"""What is known of each file; its bytes are a blob."""

from typing import Protocol

import msgspec

from headpond.domain.file import BlobName, File, FileId, Purpose


class FileQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which files of a team, newest first unless `oldest_first`.

    Those that have expired at `now` are left out. `after` is the id that the last page ended with.
    """

    team: str
    now: float
    purpose: Purpose | None = None
    after: FileId | None = None
    oldest_first: bool = False
    limit: int = 20


class FileStore(Protocol):
    """Records of files. Every verb takes effect durably before it returns."""

    async def put(self, file: File) -> bool:
        """Store a file, in place of the one that had its id; False if its blob is disowned."""
        ...

    async def get(self, file_id: FileId) -> File | None:
        """The file, None if there is none."""
        ...

    async def find(self, query: FileQuery) -> list[File]:
        """The files that match."""
        ...

    async def expired(self, now: float, limit: int) -> list[File]:
        """Files whose time is over at `now`, of all teams, the longest over first."""
        ...

    async def remove(self, file_id: FileId) -> bool:
        """Remove a file; False if there is none. Its blob is left alone."""
        ...

    async def disown(self, blobs: list[BlobName]) -> list[BlobName]:
        """Those of the blobs that no file names; from now on none will."""
        ...

    async def stored_bytes(self, team: str, now: float) -> int:
        """The sizes of the team's files together, those that have expired left out."""
        ...
