"""Objects of the archive, and large bodies, in any object store."""

from collections.abc import AsyncIterator
from typing import Any

import obstore
from obstore import exceptions
from typing_extensions import override

from headpond.adapters.obstore.opening import FAILURES, away, is_missing
from headpond.domain.archive import ObjectName
from headpond.ports.objects import ObjectStore


class Objects(ObjectStore):
    """Conditional writes are the store's own. `code` tells what is unavailable without it."""

    def __init__(self, store: Any, *, code: str = "archive_unavailable") -> None:
        self._store = store
        self._code = code

    @override
    async def put(self, name: ObjectName, data: bytes) -> None:
        await self._put(name, data, "overwrite")

    @override
    async def put_new(self, name: ObjectName, data: bytes) -> bool:
        return await self._put(name, data, "create")

    @override
    async def get(self, name: ObjectName) -> bytes | None:
        try:
            found: Any = await obstore.get_async(self._store, name)
            return bytes(await found.bytes_async())
        except FAILURES as error:
            if is_missing(error):
                return None
            raise away(self._code, error) from error

    @override
    async def names(self, prefix: str) -> AsyncIterator[ObjectName]:
        library: Any = obstore
        listing = library.list(self._store, prefix or None)
        try:
            async for page in listing:
                for found in page:
                    yield ObjectName(found["path"])
        except FAILURES as error:
            raise away(self._code, error) from error

    @override
    async def delete(self, name: ObjectName) -> None:
        try:
            await obstore.delete_async(self._store, name)
        except FAILURES as error:
            if is_missing(error):
                return
            raise away(self._code, error) from error

    async def _put(self, name: ObjectName, data: bytes, mode: Any) -> bool:
        try:
            await obstore.put_async(self._store, name, data, mode=mode)
        except exceptions.AlreadyExistsError:
            return False
        except FAILURES as error:
            raise away(self._code, error) from error
        return True
