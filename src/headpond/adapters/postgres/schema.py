"""The schema and its versions: a database of an older release is brought up to date when it opens.

A release may run beside the one before it on one database. So a migration adds and leaves what is
there: a column comes with a default, a function that is to do something else gets another name, and
what nobody needs any more goes one release later.
"""

from importlib.resources import files

import asyncpg

from headpond.adapters.postgres.connection import Connection, refused
from headpond.errors import SettingsError

LOCK = 0x48506E64
"""Processes that open a database at once migrate it one after the other (the letters HPnd)."""

VERSION_TABLE = "CREATE TABLE headpond_schema (version integer NOT NULL)"


async def migrate(connection: Connection) -> None:
    """Bring the schema to this release's version, all steps in one transaction.

    Raises SettingsError for a database of a newer release or of something else, and where the role
    may not do so.
    """
    try:
        await _migrate(connection)
    except asyncpg.InsufficientPrivilegeError as error:
        advice = " Make the role the owner of the database, or of a schema that search_path names."
        raise refused(error, advice) from error
    except asyncpg.InvalidSchemaNameError as error:
        raise refused(error, " Create the schema that search_path names.") from error


async def _migrate(connection: Connection) -> None:
    steps = migrations()
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.fetch("SELECT pg_advisory_xact_lock($1)", LOCK)
        version = await _version(connection, newest=len(steps))
        if version == len(steps):
            return
        for step in steps[version:]:
            await connection.execute(step)
        await connection.fetch("UPDATE headpond_schema SET version = $1", len(steps))


async def _version(connection: Connection, *, newest: int) -> int:
    if not await _has(connection, "headpond_schema"):
        if await _has(connection, "jobs"):
            raise SettingsError(
                "store: this database holds tables of something else. Give Headpond one of its "
                "own, or a schema of its own (?search_path=NAME at the end of the URL)."
            )
        await connection.execute(VERSION_TABLE)
        await connection.execute("INSERT INTO headpond_schema (version) VALUES (0)")
    ((version,),) = await connection.fetch("SELECT version FROM headpond_schema")
    if version > newest:
        raise SettingsError(
            f"store: this database has schema version {version}, this release knows {newest}: it "
            "was written by a newer Headpond. Upgrade, or use another database."
        )
    return version


async def _has(connection: Connection, table: str) -> bool:
    ((found,),) = await connection.fetch(
        "SELECT to_regclass(quote_ident(current_schema()) || '.' || $1) IS NOT NULL", table
    )
    return found


def migrations() -> list[str]:
    """The schema's steps, oldest first; the schema's version is how many were taken."""
    folder = files("headpond.adapters.postgres") / "migrations"
    steps = sorted(folder.iterdir(), key=lambda step: step.name)
    return [step.read_text() for step in steps]
