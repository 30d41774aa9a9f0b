"""Opening what a URL names: `file:///…`, `s3://…`, `az://…`, `gs://…`.

Who we are is found by each cloud's default chain, from the environment and the machine; what else
the store has to know goes with it as options. The library tries again by itself, within bounds set
here.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore.store import LocalStore, from_url

from headpond.adapters.obstore.options import hint, parted
from headpond.errors import SettingsError, Unavailable

TIMEOUT_S, CONNECT_TIMEOUT_S = 30, 5
"""Of a whole request, with all that it sends and gets, and of its first step."""

RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}

ASKED_WITHIN_S = 5.0
NOTHING = "headpond-asks-whether-the-bucket-is-there"
"""No object has this name."""

FAILURES = (exceptions.BaseError, FileNotFoundError)
"""What the library raises; the second also where there is no bucket."""

PANICS = "pyo3_runtime"
"""What has gone wrong inside of the library, and is no `Exception`, comes from this module."""

_NO_BUCKET = re.compile("<Code>(NoSuchBucket|ContainerNotFound)</Code>")
_REFUSED = re.compile(
    "<Code>(InvalidAccessKeyId|SignatureDoesNotMatch|AuthenticationFailed)</Code>"
)
_NOBODY = re.compile(
    r"Error performing \w+ http://(169\.254\.169\.254|metadata\.google\.internal)/"
    r"(?!.* status code: 5)"
)
"""The machine's cloud, asked last for who we are, says nothing or no."""

_UNKNOWN = re.compile(r"Configuration key: '(.*)' is not valid for store '(.*)'")


def away(code: str, error: Exception) -> Unavailable:
    """What became of a call; the code tells what the store is for."""
    why = _fault(error, "the bucket") or _first_line(error)[:300]
    return Unavailable("The object store does not answer.", why=why, code=code)


def is_missing(error: Exception) -> bool:
    """Whether it says that there is no such object, in a bucket that there is."""
    return isinstance(error, FileNotFoundError) and not _NO_BUCKET.search(str(error))


def open_at(
    setting: str, url: str, options: Mapping[str, str], *, timeout_s: int = TIMEOUT_S
) -> Any:
    """The library's store at a URL that a setting names; nobody is asked. Raises SettingsError.

    `timeout_s` is what a request may take that sends an object, or a part of a large one.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return LocalStore(folder)
        given: Any
        given, http = parted(options)
        client: Any = {
            "timeout": timedelta(seconds=timeout_s),
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
            # Plain HTTP only where an endpoint on it is named, as an emulator's is.
            "allow_http": any("http://" in value for value in options.values()),
            **http,
        }
        store: Any = from_url(url, config=given, client_options=client, retry_config=RETRIES)
    except exceptions.UnknownConfigurationKeyError as error:
        raise _unknown_option(setting, options, str(error)) from error
    except (exceptions.BaseError, ValueError, OSError) as error:
        raise SettingsError(f"{setting}: {url!r} cannot be used: {_first_line(error)}.") from error
    except BaseException as panic:
        if type(panic).__module__ != PANICS:
            raise
        names = ", ".join(options)
        message = f"{setting}: {url!r} cannot be used with one of these options: {names}."
        raise SettingsError(message) from panic
    return store


async def refuse_unusable(setting: str, url: str, store: Any) -> None:
    """Raises SettingsError if the store says that it is none, or not for us. Asks once.

    One that is away may come back.
    """
    if isinstance(store, LocalStore):
        return
    try:
        async with asyncio.timeout(ASKED_WITHIN_S):
            await obstore.get_async(store, NOTHING)
    except TimeoutError:
        return
    except FAILURES as error:
        if fault := _fault(error, _named(url)):
            raise SettingsError(f"{setting}: {fault}") from error


def _fault(error: Exception, bucket: str) -> str | None:
    """What only a person can mend, None if it is not known to be that."""
    told = str(error)
    if _NO_BUCKET.search(told):
        return f"{bucket} does not exist; make it, or name another one."
    if refused := _REFUSED.search(told):
        return f"{bucket} is closed to these credentials ({refused[1]})."
    if _NOBODY.search(told):
        return (
            f"{bucket} needs credentials, and there are none: not in the environment, "
            "nor does the machine have a role. docs/archive.md says where they are looked for."
        )
    return None


def _named(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"}:
        return f"the bucket of {url!r}"
    return f"{'bucket' if parts.scheme in {'s3', 's3a', 'gs'} else 'container'} {parts.netloc!r}"


def _unknown_option(setting: str, options: Mapping[str, str], told: str) -> SettingsError:
    section = setting.partition(".")[0]
    found = _UNKNOWN.search(told)
    key, store = found.groups() if found else ("", "")
    name = next((name for name in options if name.lower() == key), key)
    message = f"{section}.options: there is no option {name!r} of {store}{hint(name, store)}"
    return SettingsError(message, place=(section, "options", name))


def _first_line(error: Exception) -> str:
    """Without the library's insides, which follow."""
    return str(error).strip().splitlines()[0].rstrip(".")
