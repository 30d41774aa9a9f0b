"""Objects in whatever a URL names: `file:///…`, `s3://…`, `az://…`, `gs://…`.

Who we are is found by each cloud's default chain, from the environment and the machine; what else
the store has to know goes with it as options. The library tries again by itself, within bounds set
here.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore.store import LocalStore, from_url
from typing_extensions import override

from headpond.domain.archive import ObjectName
from headpond.errors import SettingsError, Unavailable
from headpond.ports.objects import ObjectStore

TIMEOUTS: Mapping[str, Any] = {"timeout": "30s", "connect_timeout": "5s"}
RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


class Objects(ObjectStore):
    """Conditional writes are the store's own."""

    def __init__(self, store: Any) -> None:
        self._store = store

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
        except FileNotFoundError:
            return None
        except exceptions.BaseError as error:
            raise _away(error) from error

    @override
    async def names(self, prefix: str) -> AsyncIterator[ObjectName]:
        library: Any = obstore
        listing = library.list(self._store, prefix or None)
        try:
            async for page in listing:
                for found in page:
                    yield ObjectName(found["path"])
        except exceptions.BaseError as error:
            raise _away(error) from error

    @override
    async def delete(self, name: ObjectName) -> None:
        try:
            await obstore.delete_async(self._store, name)
        except FileNotFoundError:
            return
        except exceptions.BaseError as error:
            raise _away(error) from error

    async def _put(self, name: ObjectName, data: bytes, mode: Any) -> bool:
        try:
            await obstore.put_async(self._store, name, data, mode=mode)
        except exceptions.AlreadyExistsError:
            return False
        except exceptions.BaseError as error:
            raise _away(error) from error
        return True


def _away(error: Exception) -> Unavailable:
    why = str(error).strip().splitlines()[0][:300]
    return Unavailable(f"The archive's object store: {why}", code="archive_unavailable")


def open_objects(url: str, options: Mapping[str, str]) -> Objects:
    """The store at a URL. Raises SettingsError."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Objects(LocalStore(folder))
        given: Any = dict(options)
        # Plain HTTP only where an endpoint on it is named, as an emulator's is.
        plain = any("http://" in value for value in options.values())
        client: Any = {**TIMEOUTS, "allow_http": plain}
        store: Any = from_url(url, client_options=client, retry_config=RETRIES, **given)
    except (exceptions.BaseError, ValueError, OSError) as error:
        why = str(error).strip().splitlines()[0]
        raise SettingsError(f"archive.url: {url!r} cannot be used: {why}.") from error
    return Objects(store)
