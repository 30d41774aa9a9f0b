"""The archive, where the settings name one."""

import importlib
from typing import TYPE_CHECKING, Any, cast

from headpond.errors import MissingExtra, SettingsError
from headpond.services.archivist import Archivist, Redact
from headpond.settings import ArchiveSettings, Settings
from headpond.wiring.stores import Store

if TYPE_CHECKING:
    from headpond.ports.objects import ObjectStore
    from headpond.ports.rows import Format

PUT_TIMEOUT_S = 120
"""A new object goes up in one request, a condition cannot be put on parts; nobody waits for it."""


async def archivist_of(settings: Settings, store: Store) -> Archivist | None:
    """Who writes the archive, None if there is none. Raises SettingsError, MissingExtra."""
    archive = settings.archive
    if archive.url is None:
        return None
    return Archivist(
        store.audit,
        store.jobs,
        await open_objects(archive),
        formats_of(archive),
        redact=redact_of(archive),
        span_s=archive.every_s,
        settle_s=archive.settle_s,
        keep_s=archive.keep_s,
        clock=store.clock,
    )


async def open_objects(archive: ArchiveSettings) -> "ObjectStore":
    """Where the archive lies, if it does not say that it cannot be. Raises as `bucket_of`."""
    bucket = bucket_of(archive)
    from headpond.adapters.obstore.objects import Objects
    from headpond.adapters.obstore.opening import refuse_unusable

    await refuse_unusable("archive.url", str(archive.url), bucket)
    return Objects(bucket)


def bucket_of(archive: ArchiveSettings) -> Any:
    """Where the archive lies, for the adapter; nobody is asked.

    Raises SettingsError, MissingExtra.
    """
    if archive.url is None:
        raise SettingsError("There is no archive: set archive.url.")
    try:
        from headpond.adapters.obstore.opening import open_at
    except ImportError as error:
        raise MissingExtra("archive", "An archive") from error
    return open_at("archive.url", archive.url, archive.options, timeout_s=PUT_TIMEOUT_S)


def formats_of(archive: ArchiveSettings) -> "list[Format]":
    """In which formats it is written. Raises MissingExtra."""
    return [_format(name) for name in archive.formats]


def redact_of(archive: ArchiveSettings) -> Redact | None:
    """What makes of a row what may be archived, None if all may. Raises SettingsError."""
    path = archive.redact
    if path is None:
        return None
    module, _, name = path.partition(":")
    try:
        function: object = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever the module does when it is loaded
        raise SettingsError(f"archive.redact: cannot load {path!r}: {error}.") from error
    if not callable(function):
        raise SettingsError(f"archive.redact: {path!r} is no function.")
    return cast("Redact", function)


def _format(name: str) -> "Format":
    if name == "jsonl":
        from headpond.adapters.rows.jsonl import JsonLines

        return JsonLines()
    try:
        from headpond.adapters.rows.parquet import Parquet
    except ImportError as error:
        raise MissingExtra("archive", "An archive in Parquet") from error
    return Parquet()
