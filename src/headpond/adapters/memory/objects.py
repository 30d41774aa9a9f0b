"""Objects in memory."""

from collections.abc import AsyncIterator

from typing_extensions import override

from headpond.domain.archive import ObjectName
from headpond.ports.objects import ObjectStore


class MemoryObjects(ObjectStore):
    """`stored` may be looked at."""

    def __init__(self) -> None:
        self.stored: dict[ObjectName, bytes] = {}

    @override
    async def put(self, name: ObjectName, data: bytes) -> None:
        self.stored[name] = data

    @override
    async def put_new(self, name: ObjectName, data: bytes) -> bool:
        return self.stored.setdefault(name, data) is data

    @override
    async def get(self, name: ObjectName) -> bytes | None:
        return self.stored.get(name)

    @override
    async def names(self, prefix: str) -> AsyncIterator[ObjectName]:
        for name in list(self.stored):
            if name.startswith(prefix):
                yield name

    @override
    async def delete(self, name: ObjectName) -> None:
        self.stored.pop(name, None)
