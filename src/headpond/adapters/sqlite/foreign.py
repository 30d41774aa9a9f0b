"""Fields that a newer release wrote: kept when this one writes the record anew.

While an upgrade goes on, processes of both releases change the same records. One that decodes a
record does not see what it does not know, and would drop it with what it writes. So where the
file's schema is newer than this release, the row is read once more, and the top-level fields that
are unknown here are put beside the new ones. Until then it costs a look at the file's header.
"""

import sqlite3
from functools import cache

import msgspec

from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.schema import migrations

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def overtaken(connection: sqlite3.Connection) -> bool:
    """Whether a newer release has brought the file up to its own schema."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version > _known_version()


def rewritten(
    connection: sqlite3.Connection, record: msgspec.Struct, statement: str, *key: object
) -> str:
    """The record as it is to be stored; `statement` finds by the key what stands there now."""
    text = _encode(record)
    if not overtaken(connection):
        return text.decode()
    return with_foreign(connection, record, statement, *key)


def with_foreign(
    connection: sqlite3.Connection, record: msgspec.Struct, statement: str, *key: object
) -> str:
    """As `rewritten`, where it is known that this release was overtaken."""
    text = _encode(record)
    row = connection.execute(sql(statement), key).fetchone()
    if row is None:
        return text.decode()
    own = {field.encode_name for field in msgspec.structs.fields(record)}
    stored = _decode(row[0])
    foreign = {name: value for name, value in stored.items() if name not in own}
    return _encode(_decode(text) | foreign).decode()


@cache
def _known_version() -> int:
    return len(migrations())
