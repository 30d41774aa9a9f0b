"""Rows as JSON lines, compressed: what fine-tuning tools read."""

import gzip
from collections.abc import Sequence

import msgspec
from msgspec import Raw
from typing_extensions import override

from headpond.domain.archive import End
from headpond.domain.job import JobId
from headpond.domain.one_line import on_one_line
from headpond.ports.rows import Fields, Format

JSON = ("request", "response", "metadata")
"""Fields that hold JSON; here they are objects, not text."""


class _Named(msgspec.Struct):
    id: JobId
    finished_at: float


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Named).decode


class JsonLines(Format):
    """A line a row."""

    @property
    @override
    def suffix(self) -> str:
        return "jsonl.gz"

    @override
    def encode(self, rows: Sequence[Fields]) -> bytes:
        lines = (_encode({name: _plain(name, row[name]) for name in row}) for row in rows)
        # Without a time in its head, the same rows are the same bytes.
        return gzip.compress(b"".join(on_one_line(line) + b"\n" for line in lines), mtime=0)

    @override
    def ends(self, data: bytes) -> list[End]:
        # Older files may have carriage returns within their lines.
        rows = map(_decode, gzip.decompress(data).split(b"\n")[:-1])
        return [End(row.finished_at, row.id) for row in rows]


def _plain(name: str, value: object) -> object:
    return Raw(value) if name in JSON and isinstance(value, str) else value
