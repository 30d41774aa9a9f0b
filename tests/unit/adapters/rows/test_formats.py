"""Rows as others read them."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet  # pyright: ignore[reportMissingTypeStubs]

from headpond.adapters.rows.jsonl import JsonLines
from headpond.adapters.rows.parquet import Parquet
from headpond.domain.archive import End, Row, row_of
from headpond.domain.job import JobError, JobState, Usage
from headpond.domain.quote import Quote
from headpond.testing.records import a_job

parquet: Any = pyarrow.parquet

DONE = a_job(
    state=JobState.SUCCEEDED,
    finished_at=12.5,
    usage=Usage(3, 2),
    model_version="v1",
    quote=Quote(position=0, price_usd=0.5),
    metadata={"order": "ü"},
)
FAILED = a_job(state=JobState.FAILED, finished_at=13.0, error=JobError("refused", "No."))
ROWS = [
    msgspec.structs.asdict(row_of(DONE, b'{"messages":\n[]}', b'{"choices":[]}')),
    msgspec.structs.asdict(row_of(FAILED, b"", None)) | {"note": "added"},
]
ENDS = [End(12.5, DONE.id), End(13.0, FAILED.id)]


def test_json_lines_have_bodies_as_objects_and_a_line_a_row() -> None:
    data = JsonLines().encode(ROWS)
    done, failed = map(msgspec.json.decode, gzip.decompress(data).splitlines())
    assert (done["request"], done["response"]) == ({"messages": []}, {"choices": []})
    assert (done["metadata"], done["price_usd"]) == ({"order": "ü"}, 0.5)
    assert (done["model_version"], failed["model_version"]) == ("v1", None)
    assert (failed["request"], failed["error_code"], failed["note"]) == (None, "refused", "added")
    assert JsonLines().ends(data) == ENDS
    assert JsonLines().encode(ROWS) == data


def test_whatever_line_breaks_a_body_had_its_row_is_one_line() -> None:
    row = msgspec.structs.asdict(row_of(DONE, b'{"messages":\r\n[\n]\r}', b'{"choices"\r:[]}'))
    text = gzip.decompress(JsonLines().encode([row, row]))
    assert len(text.splitlines()) == 2
    assert msgspec.json.decode(text.splitlines()[1])["request"] == {"messages": []}
    assert JsonLines().ends(gzip.compress(text)) == [ENDS[0]] * 2
    # As files have it that were written before.
    assert JsonLines().ends(gzip.compress(text.replace(b",", b",\r"))) == [ENDS[0]] * 2


def test_parquet_has_a_column_a_field_in_its_own_type(tmp_path: Path) -> None:
    data = Parquet().encode(ROWS)
    folder = tmp_path / "team=a%2Fb" / "day=2030-01-31"
    folder.mkdir(parents=True)
    (folder / "0.parquet").write_bytes(data)
    (folder / "1.parquet").write_bytes(Parquet().encode([]))
    table = parquet.read_table(tmp_path, partitioning="hive")
    names = [name for name in Row.__struct_fields__ if name not in {"team", "model"}]
    assert table.schema.names == [*names, "note", "team", "day"]
    assert table.column("team").to_pylist() == ["a/b"] * 2
    assert table.column("prompt_tokens").to_pylist() == [3, None]
    assert Parquet().ends(data) == ENDS
    assert Parquet().encode(ROWS) == data


def test_rows_of_versions_are_read_together_with_those_of_older_releases(tmp_path: Path) -> None:
    place = tmp_path / "team=a" / "day=2030-01-31" / "model=m"
    (place / "version-v1").mkdir(parents=True)
    (place / "version-v1" / "0.parquet").write_bytes(Parquet().encode(ROWS[:1]))
    (place / "1.parquet").write_bytes(Parquet().encode(ROWS[1:]))
    without = parquet.read_table(place / "1.parquet", partitioning=None)
    parquet.write_table(without.drop_columns(["model_version"]), place / "0.parquet")
    versioned = parquet.read_schema(place / "version-v1" / "0.parquet")
    table = parquet.read_table(tmp_path, schema=versioned)
    assert sorted(table.column("model_version").to_pylist(), key=str) == [None, None, "v1"]
    table = parquet.read_table(tmp_path, partitioning="hive")
    assert table.column("model").to_pylist() == ["m"] * 3
