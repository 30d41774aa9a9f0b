"""The two places where a key set can lie."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from typing_extensions import override

from headpond.errors import SettingsError, Unavailable
from headpond.ports.key_set import KeySet

MAX_BYTES = 1_048_576
TIMEOUT_S = 5.0


class FileKeySet(KeySet):
    """A file, read again each time, so that it can be replaced while the gateway runs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @override
    async def read(self) -> bytes:
        try:
            return await asyncio.to_thread(self._path.read_bytes)
        except OSError as error:
            raise _unavailable(f"{self._path}: {error.strerror}") from error


class UrlKeySet(KeySet):
    """A URL, fetched without following redirects and without trusting its size."""

    def __init__(self, url: str) -> None:
        self._url = url

    @override
    async def read(self) -> bytes:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._url, allow_redirects=False) as answer,
            ):
                body = bytearray()
                async for chunk in answer.content.iter_chunked(65_536):
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise _unavailable(f"it is larger than {MAX_BYTES} bytes")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unavailable(type(error).__name__) from error
        if answer.status != 200:  # noqa: PLR2004 - the one status that has keys in it
            raise _unavailable(f"status {answer.status}")
        return bytes(body)


def _unavailable(why: str) -> Unavailable:
    message = "The identity provider's key set cannot be read."
    return Unavailable(message, why=why, code="key_set_unavailable")


def key_set_at(place: str) -> KeySet:
    """The key set of `auth.jwt.jwks`: a path, or a URL, which must be https off this machine.

    Raises SettingsError for another kind of URL.
    """
    url = urlsplit(place)
    local = url.hostname in {"localhost", "127.0.0.1", "::1"}
    if url.scheme == "https" or (url.scheme == "http" and local):
        return UrlKeySet(place)
    if "://" in place:
        message = f"auth.jwt.jwks is {place!r}; it must be a file or an https URL."
        raise SettingsError(message)
    return FileKeySet(Path(place))
