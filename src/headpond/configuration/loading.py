"""Loads the settings: file, then environment, then references, then checks."""

from collections.abc import Mapping
from pathlib import Path as FilePath

import msgspec

from headpond.configuration.checking import Check
from headpond.configuration.document import read_document
from headpond.configuration.environment import CONFIG, overlaid
from headpond.configuration.literal_keys import literal_keys
from headpond.configuration.rules import broken_rules
from headpond.configuration.written import Path, Table, dotted, empty, origin_of
from headpond.errors import SettingsError
from headpond.settings import Settings

DEFAULT_FILE = "headpond.yaml"


class Configuration(msgspec.Struct, frozen=True):
    """The settings, and what was written to get them; `file` is None where there is none."""

    settings: Settings
    written: Table
    file: str | None


def load(environ: Mapping[str, str], file: str | None = None) -> Configuration:
    """Load from `file`, or from HEADPOND_CONFIG, or from headpond.yaml if it lies here.

    Raises SettingsError with a line for each problem.
    """
    name = file or environ.get(CONFIG) or _default_file()
    in_file = empty() if name is None else read_document(_text(name), name)
    table = overlaid(in_file, environ)
    check = Check(environ)
    settings = check.settings(table)
    if settings is None:
        raise SettingsError("\n".join(check.problems))
    complaints = [_located(in_file, path, words) for path, words in literal_keys(in_file)]
    complaints += [_located(table, path, words) for path, words in broken_rules(settings)]
    if complaints:
        raise SettingsError("\n".join(complaints))
    return Configuration(settings, table, name)


def _default_file() -> str | None:
    return DEFAULT_FILE if FilePath(DEFAULT_FILE).exists() else None


def _text(name: str) -> str:
    try:
        return FilePath(name).read_text()
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{name} is not UTF-8 text (byte {error.start}).") from error


def _located(table: Table, path: Path, words: str) -> str:
    """The complaint with the nearest place where something is written."""
    origin = origin_of(table, path)
    return f"{'' if origin is None else f'{origin}: '}{dotted(path)}: {words}."
