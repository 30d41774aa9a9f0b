"""The endpoints of webhooks in a table of documents."""

from operator import attrgetter

import msgspec
from typing_extensions import override

from headpond.adapters.documents.dispatches import endpoint_of, endpoints_of
from headpond.adapters.documents.table import Change, Delete, Key, Put, Table
from headpond.domain.webhook_endpoint import Endpoint, EndpointId
from headpond.ports.endpoints import EndpointStore

_encode = msgspec.json.Encoder().encode


class DocumentEndpointStore(EndpointStore):
    """A team's endpoints are together, so that whatever ends a job finds them in one step."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @override
    async def add(self, endpoint: Endpoint) -> bool:
        key = _key(endpoint)
        item = {
            "pk": key.pk,
            "sk": key.sk,
            "version": endpoint.version,
            "record": _encode(endpoint),
        }
        owner = {**_owner_key(endpoint.id), "team": endpoint.team}
        return not await self._table.write(Put(owner, absent=True), Put(item))

    @override
    async def get(self, endpoint_id: EndpointId) -> Endpoint | None:
        key = await self._find(endpoint_id)
        item = None if key is None else await self._table.get(key)
        return None if item is None else endpoint_of(item)

    @override
    async def of_team(self, team: str) -> list[Endpoint]:
        return sorted(await endpoints_of(self._table, team), key=attrgetter("created_at"))

    @override
    async def swap(self, after: Endpoint) -> bool:
        to = {"version": after.version, "record": _encode(after)}
        return not await self._table.write(Change(_key(after), to, {"version": after.version - 1}))

    @override
    async def remove(self, endpoint_id: EndpointId) -> bool:
        key = await self._find(endpoint_id)
        if key is None:
            return False
        # The owner goes last: until then the removal can be taken up again.
        await self._table.write(Delete(key))
        items = await self._table.under(f"endpoint#{endpoint_id}", sk="dispatch#")
        await self._table.delete_many([Key(str(item["pk"]), str(item["sk"])) for item in items])
        await self._table.write(Delete(Key(f"endpoint#{endpoint_id}")))
        return True

    async def _find(self, endpoint_id: EndpointId) -> Key | None:
        owner = await self._table.get(Key(f"endpoint#{endpoint_id}"))
        return None if owner is None else Key(f"endpoints#{owner['team']}", endpoint_id)


def _key(endpoint: Endpoint) -> Key:
    return Key(f"endpoints#{endpoint.team}", endpoint.id)


def _owner_key(endpoint_id: EndpointId) -> dict[str, str]:
    return {"pk": f"endpoint#{endpoint_id}", "sk": "-"}
