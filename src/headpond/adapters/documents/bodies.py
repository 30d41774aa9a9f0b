"""Bodies of jobs as items beside their records: in pieces, as far as the table has room."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from headpond.adapters.documents.table import Item, Key, Put, Table, raw
from headpond.domain.job import JobId
from headpond.errors import TooLarge
from headpond.ports.jobs import Bodies

Kind: TypeAlias = Literal["request", "response"]

PIECE = 300_000
"""Bytes of a body in one item, which may have 400 KB."""

TOO_LARGE = {"request": "body_too_large", "response": "response_too_large"}


def writes(table: Table, job_id: JobId, kind: Kind, body: bytes) -> list[Put]:
    """What stores a body. Raises TooLarge if the table will never have room for it."""
    if table.body_bytes is not None and len(body) > table.body_bytes:
        message = (
            f"The {kind} has {len(body)} bytes, and a store of this kind has room for "
            f"{table.body_bytes}."
        )
        raise TooLarge(message, code=TOO_LARGE[kind])
    pieces = [body[begin : begin + PIECE] for begin in range(0, len(body), PIECE)] or [b""]
    return [
        Put({"pk": f"job#{job_id}", "sk": f"{kind}#{number:04d}", "body": piece})
        for number, piece in enumerate(pieces)
    ]


def bodies_of(items: Iterable[Item]) -> Bodies | None:
    """Both bodies of what lies beside a record; None if they are not there."""
    pieces: dict[str, list[bytes]] = {}
    for item in items:
        if "body" in item:
            kind = str(item["sk"]).partition("#")[0]
            pieces.setdefault(kind, []).append(raw(item, "body"))
    if "request" not in pieces:
        return None
    response = pieces.get("response")
    return Bodies(b"".join(pieces["request"]), None if response is None else b"".join(response))


async def items_of(table: Table, job_id: JobId) -> list[Item]:
    """What is stored of a job's bodies."""
    return await table.under(f"job#{job_id}", sk="re")


def key_of(item: Item) -> Key:
    """Where the item is."""
    return Key(str(item["pk"]), str(item["sk"]))
