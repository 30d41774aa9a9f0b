"""Opening what a URL names: `file:///…`, `s3://…`, `az://…`, `gs://…`.

Who we are is found by each cloud's default chain, from the environment and the machine; what else
the store has to know goes with it as options. The library tries again by itself, within bounds set
here.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from obstore import exceptions
from obstore.store import LocalStore, from_url

from headpond.errors import SettingsError, Unavailable

TIMEOUT_S, CONNECT_TIMEOUT_S = 30, 5
"""Of a whole request, with all that it sends and gets, and of its first step."""

RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


def away(code: str, error: Exception) -> Unavailable:
    """What became of a call; the code tells what the store is for."""
    why = str(error).strip().splitlines()[0][:300]
    return Unavailable(f"The object store: {why}", code=code)


def open_at(
    setting: str, url: str, options: Mapping[str, str], *, timeout_s: int = TIMEOUT_S
) -> Any:
    """The library's store at a URL that a setting names. Raises SettingsError.

    `timeout_s` is what a request may take that sends an object, or a part of a large one.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return LocalStore(folder)
        given: Any = dict(options)
        # Plain HTTP only where an endpoint on it is named, as an emulator's is.
        plain = any("http://" in value for value in options.values())
        client: Any = {
            "timeout": timedelta(seconds=timeout_s),
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
            "allow_http": plain,
        }
        store: Any = from_url(url, client_options=client, retry_config=RETRIES, **given)
    except (exceptions.BaseError, ValueError, OSError) as error:
        why = str(error).strip().splitlines()[0]
        raise SettingsError(f"{setting}: {url!r} cannot be used: {why}.") from error
    return store
