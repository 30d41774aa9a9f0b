"""Files that teams hand in and batches write: what is known of each beside its bytes."""

import re
from enum import StrEnum
from typing import NewType, TypeGuard

import msgspec

FileId = NewType("FileId", str)
BlobName = NewType("BlobName", str)

MIN_TTL_S = 3_600
MAX_TTL_S = 2_592_000
"""A file that is to expire does so an hour to thirty days after it was made."""

_BLOB_NAME = re.compile(r"(file|results)-[0-9a-f]{32}")


def is_blob_name(name: str) -> TypeGuard[BlobName]:
    """Whether a gateway makes up such names. What is called otherwise is somebody else's."""
    return _BLOB_NAME.fullmatch(name) is not None


class Purpose(StrEnum):
    """What a file is for: what a batch reads, or what one wrote."""

    BATCH = "batch"
    BATCH_OUTPUT = "batch_output"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a team. Times are Unix seconds; `size` is in bytes.

    `blob` names the bytes, which are written before this record and never changed: a name is used
    once, so a blob that no record names means nothing.
    """

    id: FileId
    blob: BlobName
    team: str
    purpose: Purpose
    filename: str
    size: int
    created_at: float
    expires_at: float | None = None

    def expired(self, now: float) -> bool:
        """True when nobody may see it any more."""
        return self.expires_at is not None and now >= self.expires_at
