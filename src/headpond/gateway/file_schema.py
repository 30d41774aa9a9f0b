"""Wire types of the files API."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headpond.domain.file import File


class FileView(msgspec.Struct, frozen=True, kw_only=True):
    """A file as the official client reads it. Times are Unix seconds."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: Literal["batch", "batch_output"]
    status: Literal["processed"] = "processed"
    status_details: None = None


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    """With `has_more`, the next page is `?after=` the last one's id."""

    object: Literal["list"] = "list"
    data: list[FileView]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class FileForm(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"anchor": "expires_after[anchor]", "seconds": "expires_after[seconds]"},
):
    """The form of POST /v1/files."""

    file: Annotated[str, Meta(extra_json_schema={"format": "binary"})]
    purpose: Literal["batch"]
    anchor: Literal["created_at"] | None = None
    seconds: Annotated[int, Meta(ge=3_600, le=2_592_000)] | None = None


def view(file: File) -> FileView:
    """The file for its owner."""
    return FileView(
        id=file.id,
        bytes=file.size,
        created_at=int(file.created_at),
        expires_at=None if file.expires_at is None else int(file.expires_at),
        filename=file.filename,
        purpose=file.purpose.value,
    )
