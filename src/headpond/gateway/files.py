"""/v1/files: upload, list, look, read, delete."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from headpond.domain.file import MAX_TTL_S, MIN_TTL_S, FileId, Purpose
from headpond.domain.identity import Identity
from headpond.errors import InvalidRequest, NotFound
from headpond.gateway.endpoint import Answer, Call, Operation, Parameter
from headpond.gateway.file_schema import FileDeleted, FileForm, FileList, FileView, view
from headpond.gateway.forms import Upload
from headpond.gateway.paging import limit, limit_parameter
from headpond.gateway.reply import json_reply
from headpond.ports.clock import Clock
from headpond.ports.files import FileQuery
from headpond.services.files import INPUT_TTL_S, About, Files

MOST = 10_000
MAX_FILENAME_CHARS = 255

PURPOSE = Parameter(
    name="purpose",
    schema={"type": "string", "enum": [purpose.value for purpose in Purpose]},
    description="Only files of this purpose.",
)
ORDER = Parameter(
    name="order",
    schema={"type": "string", "enum": ["asc", "desc"], "default": "desc"},
    description="By the time at which they were made.",
)
AFTER = Parameter(
    name="after",
    schema={"type": "string", "pattern": "^file-[0-9a-f]{32}$"},
    description="Only files that come after this one.",
)

_FILE_ID = re.compile(r"file-[0-9a-f]{32}")
_FIELDS = {"purpose", "expires_after[anchor]", "expires_after[seconds]"}
_SECONDS = re.compile(r"[0-9]{1,7}")


class FileRoutes:
    """OpenAI's files API, for what batches read and write."""

    def __init__(self, files: Files, clock: Clock, max_file_bytes: int) -> None:
        self._files = files
        self._clock = clock
        self._max_file_bytes = max_file_bytes

    def operations(self) -> list[Operation]:
        """All five."""
        return [
            Operation(
                method="POST",
                path="/v1/files",
                handler=self._create,
                summary="Upload a file",
                body=FileForm,
                media="multipart/form-data",
                answer=Answer(type=FileView),
                errors=(408, 413, 415),
            ),
            Operation(
                method="GET",
                path="/v1/files",
                handler=self._list,
                summary="List files",
                parameters=(PURPOSE, ORDER, AFTER, limit_parameter(most=MOST, default=MOST)),
                answer=Answer(type=FileList),
                errors=(404,),
            ),
            Operation(
                method="GET",
                path="/v1/files/{id}",
                handler=self._show,
                summary="Show a file",
                answer=Answer(type=FileView),
                errors=(404,),
            ),
            Operation(
                method="DELETE",
                path="/v1/files/{id}",
                handler=self._delete,
                summary="Delete a file",
                answer=Answer(type=FileDeleted),
                errors=(404, 409),
            ),
            Operation(
                method="GET",
                path="/v1/files/{id}/content",
                handler=self._content,
                summary="Read a file",
                answer=Answer(media="application/octet-stream", description="The file's bytes."),
                errors=(404,),
            ),
        ]

    async def _create(self, call: Call) -> ASGIApp:
        upload = Upload(call, max_file_bytes=self._max_file_bytes)
        file = await self._files.store(upload.pieces(), lambda: _about(upload), call.identity)
        return json_reply(view(file))

    async def _list(self, call: Call) -> ASGIApp:
        many = limit(call, most=MOST, default=MOST)
        query = FileQuery(
            team=call.identity.team,
            now=self._clock.now(),
            purpose=_purpose(call.query.get("purpose")),
            after=await self._known(call.query.get("after"), call.identity),
            oldest_first=_oldest_first(call.query.get("order", "desc")),
            limit=many + 1,
        )
        files = await self._files.find(query)
        data = [view(file) for file in files[:many]]
        return json_reply(
            FileList(
                data=data,
                first_id=data[0].id if data else None,
                last_id=data[-1].id if data else None,
                has_more=len(files) > many,
            )
        )

    async def _show(self, call: Call) -> ASGIApp:
        return json_reply(view(await self._files.file(file_id(call.id), call.identity)))

    async def _delete(self, call: Call) -> ASGIApp:
        await self._files.delete(file_id(call.id), call.identity)
        return json_reply(FileDeleted(id=call.id))

    async def _content(self, call: Call) -> ASGIApp:
        file = await self._files.file(file_id(call.id), call.identity)
        # Never shown as a page: what clients handed in could be one.
        headers = {
            "content-length": str(file.size),
            "content-disposition": f"attachment; filename*=utf-8''{quote(file.filename, safe='')}",
            "x-content-type-options": "nosniff",
        }
        media = "application/octet-stream"
        if call.scope["method"] == "HEAD":
            return Response(media_type=media, headers=headers)
        return StreamingResponse(self._files.read(file), media_type=media, headers=headers)

    async def _known(self, after: str | None, identity: Identity) -> FileId | None:
        return None if after is None else (await self._files.file(file_id(after), identity)).id


def file_id(text: str) -> FileId:
    """A well-formed id. Raises NotFound: no file has another."""
    if not _FILE_ID.fullmatch(text):
        message = f"There is no file {text[:64]!r}."
        raise NotFound(message, code="file_not_found", param="id")
    return FileId(text)


def _about(upload: Upload) -> About:
    """What the form says of its file. Raises InvalidRequest."""
    fields = upload.fields
    if unknown := fields.keys() - _FIELDS:
        name = min(unknown)[:64]
        message = f"The parameter {name!r} is not known here."
        raise InvalidRequest(message, code="unknown_parameter", param=name)
    if (purpose := fields.get("purpose")) != Purpose.BATCH:
        code = "missing_required_parameter" if purpose is None else "invalid_purpose"
        message = "The purpose of a file that is handed in is `batch`."
        raise InvalidRequest(message, code=code, param="purpose")
    filename = (upload.filename or "").replace("\x00", "")[:MAX_FILENAME_CHARS]
    return About(filename, Purpose.BATCH, _ttl_s(fields))


def _ttl_s(fields: Mapping[str, str]) -> float:
    anchor, seconds = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return INPUT_TTL_S
    if anchor != "created_at":
        message = "expires_after counts from `created_at`."
        raise InvalidRequest(message, code="invalid_value", param="expires_after[anchor]")
    if seconds is None or not _SECONDS.fullmatch(seconds):
        message = "expires_after[seconds] must be a whole number."
        raise InvalidRequest(message, code="invalid_value", param="expires_after[seconds]")
    if not MIN_TTL_S <= int(seconds) <= MAX_TTL_S:
        message = f"expires_after[seconds] must be from {MIN_TTL_S} to {MAX_TTL_S}."
        raise InvalidRequest(message, code="invalid_value", param="expires_after[seconds]")
    return float(seconds)


def _purpose(text: str | None) -> Purpose | None:
    if text is None:
        return None
    try:
        return Purpose(text)
    except ValueError as error:
        message = f"purpose must be one of {', '.join(Purpose)}."
        raise InvalidRequest(message, code="invalid_value", param="purpose") from error


def _oldest_first(text: str) -> bool:
    if text not in {"asc", "desc"}:
        message = "order must be asc or desc."
        raise InvalidRequest(message, code="invalid_value", param="order")
    return text == "asc"
