"""Rows as Parquet: what DuckDB, pandas, Spark and warehouses read."""

import io
from collections.abc import Sequence
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]
from typing_extensions import override

from headpond.domain.archive import End, Place, Row
from headpond.ports.rows import Fields, Format

_pa: Any = pa
_parquet: Any = parquet


PARTITIONS = frozenset(Place.__struct_fields__)
"""Readers take these from the names of folders, and refuse files that have them, too."""


class Parquet(Format):
    """Columns as `Row` has them, and after them what redaction added, as text."""

    @property
    @override
    def suffix(self) -> str:
        return "parquet"

    @override
    def encode(self, rows: Sequence[Fields]) -> bytes:
        known = _columns()
        added = sorted({name for row in rows for name in row} - set(known) - PARTITIONS)
        fields = [*known.items(), *((name, _pa.string()) for name in added)]
        columns = [_pa.array([row.get(name) for row in rows], kind) for name, kind in fields]
        table = _pa.table(columns, names=[name for name, _ in fields])
        sink = io.BytesIO()
        _parquet.write_table(table, sink, compression="zstd")
        return sink.getvalue()

    @override
    def ends(self, data: bytes) -> list[End]:
        table = _parquet.read_table(io.BytesIO(data), columns=["id", "finished_at"])
        return [End(row["finished_at"], row["id"]) for row in table.to_pylist()]


@cache
def _columns() -> dict[str, Any]:
    """The type of each column, by that of the field."""
    kinds = {str: _pa.string(), float: _pa.float64(), int: _pa.int64(), bool: _pa.bool_()}
    hints: dict[str, Any] = get_type_hints(Row)
    return {
        name: kinds[next(kind for kind in (get_args(hint) or (hint,)) if kind is not NoneType)]
        for name, hint in hints.items()
        if name not in PARTITIONS
    }
