"""Uploads: multipart/form-data with one file, read as a stream.

Not a byte of the file is kept here: its pieces are handed on as they come, and whoever takes them
slowly slows the client down. Fields may come before the file or after it.

A web page may send such a form cross-site without asking first. That is harmless where a key is
needed, which the browser does not know; without keys `LocalDoor` has looked at Origin.
"""

import asyncio
from collections.abc import AsyncIterator

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from headpond.errors import InvalidRequest
from headpond.gateway.body import chunk
from headpond.gateway.endpoint import Call

SILENCE_S = 30.0
"""How long a client may say nothing in the middle of its upload."""

PIECE = 262_144
MAX_FIELDS = 16
MAX_FIELD_BYTES = 4_096
ROOM_FOR_FORM = 65_536
"""What the form may need beside the file."""


class Upload:
    """The form of a call. Read `pieces` to their end; then there are `filename` and `fields`."""

    def __init__(self, call: Call, *, max_file_bytes: int) -> None:
        """Raises InvalidRequest for what is no form, or says that it is too large."""
        self._receive = call.receive
        self._max_file_bytes = max_file_bytes
        media_type, options = parse_options_header(call.headers.get(b"content-type"))
        boundary = options.get(b"boundary")
        if media_type != b"multipart/form-data" or not boundary:
            message = "Send the file as a form: Content-Type: multipart/form-data with a boundary."
            raise InvalidRequest(message, code="unsupported_media_type", status=415)
        length = call.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > max_file_bytes + ROOM_FOR_FORM:
            raise self._too_large()
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._parts = _Parts(boundary)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The file's bytes as they come. Raises InvalidRequest, ClientDisconnect."""
        size = form_size = 0
        more = True
        while more:
            data, more = await self._next()
            form_size += len(data)
            self._parts.feed(data)
            if not more:
                self._parts.finish()
            ready = self._parts.take(all_of_it=not more)
            size += len(ready)
            if size > self._max_file_bytes or form_size > self._max_file_bytes + ROOM_FOR_FORM:
                raise self._too_large()
            if ready:
                yield ready
        self.fields, self.filename = self._parts.fields, self._parts.filename
        if self.filename is None:
            raise InvalidRequest(
                "The form has no file.", code="missing_required_parameter", param="file"
            )

    async def _next(self) -> tuple[bytes, bool]:
        try:
            async with asyncio.timeout(SILENCE_S):
                return await chunk(self._receive)
        except TimeoutError as error:
            message = f"Nothing came for {SILENCE_S:.0f} seconds."
            raise InvalidRequest(message, code="request_timeout", status=408) from error

    def _too_large(self) -> InvalidRequest:
        message = f"The file is larger than {self._max_file_bytes} bytes (batches.max_file_bytes)."
        return InvalidRequest(message, code="file_too_large", param="file", status=413)


class _Parts:
    """What the parser finds: fields, and the bytes of the file that nobody took yet."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._file = bytearray()
        self._header = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._is_file = False
        self._ended = False
        self._field = bytearray()
        self._parser = self._made(boundary)

    def feed(self, data: bytes) -> None:
        """Parse some more. Raises InvalidRequest."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _malformed(str(error)) from error

    def finish(self) -> None:
        """Raises InvalidRequest if the form is cut off."""
        if not self._ended:
            raise _malformed("it is cut off")

    def take(self, *, all_of_it: bool) -> bytes:
        """Bytes of the file, if they are many or `all_of_it`."""
        if len(self._file) < PIECE and not all_of_it:
            return b""
        taken = bytes(self._file)
        self._file.clear()
        return taken

    def _made(self, boundary: bytes) -> MultipartParser:
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._on_header,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers,
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _malformed(str(error)) from error

    def _begin(self) -> None:
        self._headers = {}
        self._field.clear()

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = _text(options.get(b"name", b""), "name")
        self._is_file = self._name == "file"
        if len(self.fields) >= MAX_FIELDS:
            raise _malformed(f"it has more than {MAX_FIELDS} fields")
        if self._name in self.fields or (self._is_file and self.filename is not None):
            message = f"The field {self._name[:64]!r} came twice."
            raise InvalidRequest(message, code="invalid_value", param=self._name[:64])
        if self._is_file:
            self.filename = _text(options.get(b"filename", b"") or b"upload", "file")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        into = self._file if self._is_file else self._field
        into += data[start:end]
        if len(self._field) > MAX_FIELD_BYTES:
            raise _malformed(f"{self._name[:64]!r} is longer than {MAX_FIELD_BYTES} bytes")

    def _on_part_end(self) -> None:
        if not self._is_file:
            self.fields[self._name] = _text(bytes(self._field), self._name)

    def _on_end(self) -> None:
        self._ended = True


def _text(value: bytes, param: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        message = "The names and fields of a form are UTF-8."
        raise InvalidRequest(message, code="invalid_value", param=param) from error


def _malformed(why: str) -> InvalidRequest:
    return InvalidRequest(f"The form cannot be read: {why}.", code="invalid_form")
