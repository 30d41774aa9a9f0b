"""API keys as documents, all in one partition: they are few, and read through a cache."""

from operator import attrgetter

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from headpond.adapters.documents.table import Change, Item, Key, Put, Table, raw
from headpond.domain.identity import ApiKey, KeyId
from headpond.ports.keys import KeyStore

PARTITION = "apikeys"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ApiKey).decode


class DocumentKeyStore(KeyStore):
    """Keys of every process that uses the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @override
    async def add(self, key: ApiKey) -> None:
        item: Item = {
            "pk": PARTITION,
            "sk": key.digest,
            "revoked": 0 if key.revoked_at is None else 1,
            "record": _encode(key),
        }
        # It is new, and whose answer got lost must not write it over its revocation.
        await self._table.write(Put(item, absent=True))

    @override
    async def find(self, digest: str) -> ApiKey | None:
        item = await self._table.get(Key(PARTITION, digest))
        return None if item is None else _decode(raw(item))

    @override
    async def all(self) -> list[ApiKey]:
        keys = [_decode(raw(item)) for item in await self._table.under(PARTITION)]
        return sorted(keys, key=attrgetter("created_at"))

    @override
    async def revoke(self, key_id: KeyId, now: float) -> bool:
        for key in await self.all():
            if key.id == key_id:
                to = {"record": _encode(replace(key, revoked_at=now)), "revoked": 1}
                change = Change(Key(PARTITION, key.digest), to, {"revoked": 0})
                return not await self._table.write(change)
        return False
