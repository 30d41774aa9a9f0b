"""Objects: bytes under names, in a bucket or a folder."""

from collections.abc import AsyncIterator
from typing import Protocol

from headpond.domain.archive import ObjectName


class ObjectStore(Protocol):
    """Each call raises Unavailable where the store does not answer, or does not let us."""

    async def put(self, name: ObjectName, data: bytes) -> None:
        """Write an object, in the place of one that is there: whole or not at all."""
        ...

    async def put_new(self, name: ObjectName, data: bytes) -> bool:
        """Write an object unless there is one; False then. Of several at once one is written."""
        ...

    async def get(self, name: ObjectName) -> bytes | None:
        """The object, None if there is none."""
        ...

    def names(self, prefix: str) -> AsyncIterator[ObjectName]:
        """The names that begin with a prefix, which ends with `/` or is empty; in any order."""
        ...

    async def delete(self, name: ObjectName) -> None:
        """Remove an object; nothing if there is none."""
        ...
