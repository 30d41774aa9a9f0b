"""What processes would refuse at their start, found before that: `headpond config check`.

Nothing is opened, no folder is made, no other machine is asked.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from headpond.adapters.jwks.key_set import key_set_at
from headpond.adapters.llamacpp.server import check_gguf
from headpond.adapters.local.clock import SystemClock
from headpond.errors import MissingExtra, SettingsError
from headpond.services.tokens import Tokens
from headpond.settings import Settings
from headpond.wiring import elsewhere
from headpond.wiring.archives import bucket_of, formats_of, redact_of
from headpond.wiring.engines import refuse_other_models
from headpond.wiring.extras import require, require_for

Place = tuple[str, ...]
"""The path of a setting."""


def refusals(settings: Settings) -> Iterator[tuple[Place, SettingsError | MissingExtra]]:
    """What is refused, and the setting that is at fault."""
    for place, attempt in _attempts(settings):
        try:
            attempt()
        except SettingsError as error:
            yield error.place or place, error
        except MissingExtra as error:
            yield place, error


def _attempts(settings: Settings) -> Iterator[tuple[Place, Callable[[], object]]]:
    yield from _extras(settings)
    archive, files, jwt = settings.archive, settings.batches.files, settings.auth.jwt
    if archive.url is not None:
        yield ("archive", "formats"), lambda: formats_of(archive)
        if not _is_folder(archive.url):
            yield ("archive", "url"), lambda: bucket_of(archive)
    yield ("archive", "redact"), lambda: redact_of(archive)
    if files is not None and not _is_folder(files):
        yield ("batches", "files"), lambda: elsewhere.bucket_of(settings.batches)
    if jwt is not None:
        yield ("auth", "jwt", "jwks"), lambda: Tokens(jwt, key_set_at(jwt.jwks), SystemClock())
    for name, pool in settings.pools.items():
        yield ("pools", name, "models"), lambda pool=pool: refuse_other_models(pool)
        if pool.engine.gguf is not None:
            gguf = Path(pool.engine.gguf)
            yield ("pools", name, "engine", "gguf"), lambda gguf=gguf: check_gguf(gguf)


def _extras(settings: Settings) -> Iterator[tuple[Place, Callable[[], None]]]:
    urls: dict[Place, str | None] = {
        ("store",): settings.store,
        ("queue",): settings.queue,
        ("streams",): settings.streams,
        ("limits", "shared"): settings.limits.shared,
        ("cache", "url"): settings.cache.url,
    }
    for name, pool in settings.pools.items():
        urls["pools", name, "fleet"] = pool.fleet
        urls["pools", name, "spot_fleet"] = pool.spot_fleet
        if pool.engine.url is None:
            yield ("pools", name, "engine"), lambda: require("llamacpp", "The embedded engine")
    for place, url in urls.items():
        if url is not None:
            yield place, lambda url=url: require_for(url)


def _is_folder(url: str) -> bool:
    """Opening a folder makes it."""
    return url.lower().startswith("file:")
