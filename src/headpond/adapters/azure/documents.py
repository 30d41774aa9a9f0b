"""An item as a document of Cosmos DB, and what a transaction leaves in it until it has ended.

    id           the `sk`, without what ids may not have, and no longer than they may be
    pk           the partition
    place        both, as they are: what is asked for in ranges and in lists
    by_agenda …  for each index the partition and what sorts within it
    item         the values; bytes in base64
    expires      when the item may go; `ttl`, which counts from the last write, is added to it by
                 each write (`container.py`), so that the end stays where it is
    by           the write that made it
    intent       what a transaction makes of it: its name, its home, and the item to be, if any
    open         that name once more, where all open ends are found

A document without `item` is a ghost: there is nothing yet, but a transaction will have something be
there. Its places in indexes are those of what it becomes: should its owner die between the commit
and the rest, the agenda leads to it. What exists already keeps the places that it had. What a
transaction stands on expires only once that has ended.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from headpond.adapters.documents.table import INDEXES, Item, Key, Value
from headpond.domain.bounded import bounded

AFTER = "\x1f"
"""Between a partition and what sorts within it, and below whatever a name has."""

HIGHEST = "\U0010ffff"

ID_BYTES = 1_023
"""The most that Cosmos DB takes."""

AROUND = 4_000
"""What a document has beside its item, at most."""

Json = dict[str, Any]


class Intent(msgspec.Struct, frozen=True):
    """What becomes of a document if the transaction is committed; `to` is None if it goes."""

    txn: str
    home: str
    to: Item | None


class Document(msgspec.Struct, frozen=True):
    """As it was read; `item` is None in a ghost."""

    key: Key
    item: Item | None
    by: str = ""
    etag: str = ""
    intent: Intent | None = None

    @property
    def id(self) -> str:
        return id_of(self.key.sk)


def written(document: Document) -> Json:
    """The JSON of a document; its etag is the service's to give."""
    key, intent = document.key, document.intent
    shown = document.item if document.item is not None or intent is None else intent.to
    json: Json = {"id": document.id, "pk": key.pk, "place": place_of(key), "by": document.by}
    for index, (partition, sort) in INDEXES.items():
        if shown is not None and partition in shown and sort in shown:
            json[field_of(index)] = f"{shown[partition]}{AFTER}{shown[sort]}"
    if document.item is not None:
        json["item"] = _plain(document.item)
    if intent is not None:
        to = None if intent.to is None else _plain(intent.to)
        json |= {"intent": {"txn": intent.txn, "home": intent.home, "to": to}, "open": intent.txn}
    elif shown is not None and "expires" in shown:
        json["expires"] = shown["expires"]
    return json


def read(json: Mapping[str, Any]) -> Document:
    """The document of a JSON that the service gave."""
    pk, _, sk = json["place"].partition(AFTER)
    intent = json.get("intent")
    return Document(
        key=Key(pk, sk),
        item=_item(json["item"]) if "item" in json else None,
        by=json["by"],
        etag=json["_etag"],
        intent=None
        if intent is None
        else Intent(
            intent["txn"], intent["home"], None if intent["to"] is None else _item(intent["to"])
        ),
    )


def field_of(index: str) -> str:
    """The field that an index is asked by."""
    return f"by_{index}"


def place_of(key: Key) -> str:
    """Where an item is, in one text."""
    return f"{key.pk}{AFTER}{key.sk}"


def id_of(sk: str) -> str:
    """Letters, digits and `_.-~`: everything else has known limitations somewhere on the way."""
    return bounded(sk, ID_BYTES, write=_quoted, before_digest="~~")


def _quoted(name: str) -> str:
    return quote(name, safe="").replace("~", "%7E").replace("%", "~")


def size_of(item: Mapping[str, Value] | None) -> int:
    """Bytes of a document with this item, in JSON."""
    return 0 if item is None else len(msgspec.json.encode(_plain(item))) + AROUND


def _plain(item: Mapping[str, Value]) -> Json:
    return {
        name: {"base64": b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in item.items()
    }


def _item(plain: Mapping[str, Any]) -> Item:
    return {
        name: value if isinstance(value, str | int) else b64decode(value["base64"])
        for name, value in plain.items()
    }
