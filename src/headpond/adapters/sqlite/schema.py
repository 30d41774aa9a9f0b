"""The schema and its versions: a file of an older release is brought up to date when it opens."""

import sqlite3
from importlib.resources import files
from pathlib import Path

from headpond.adapters.sqlite.connection import opening, transaction
from headpond.errors import SettingsError

APPLICATION_ID = 0x48506E64
"""Stands in the file's header and says that it is ours (the letters HPnd)."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to this release's version, all steps in one transaction."""
    steps = migrations()
    with opening(path), transaction(connection):
        version = _version(connection, path, newest=len(steps))
        for step in steps[version:]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _version(connection: sqlite3.Connection, path: Path, *, newest: int) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    empty = connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is None
    if application_id != APPLICATION_ID and not (empty and version == 0):
        raise SettingsError(f"{path} is a database of something else. Choose another `home`.")
    if version > newest:
        raise SettingsError(
            f"{path} has schema version {version}, this release knows {newest}: it was written "
            "by a newer Headpond. Upgrade, or choose another `home`."
        )
    return version


def migrations() -> list[str]:
    """The schema's steps, oldest first; the schema's version is how many were taken."""
    folder = files("headpond.adapters.sqlite") / "migrations"
    steps = sorted(folder.iterdir(), key=lambda step: step.name)
    return [step.read_text() for step in steps]


def _statements(script: str) -> list[str]:
    """The script's statements, one by one: `executescript` would commit before the first."""
    statements: list[str] = []
    rest = ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            statements.append(rest)
            rest = ""
    return statements
