"""`HEADPOND_…__…` variables: settings with `__` between the levels."""

from collections.abc import Mapping

from headpond.configuration.document import read_text, read_value
from headpond.configuration.shape import takes_text, type_at
from headpond.configuration.written import Path, Table, Written, put

PREFIX = "HEADPOND_"
LEVEL = "__"

CONFIG = "HEADPOND_CONFIG"
URL = "HEADPOND_URL"
API_KEY = "HEADPOND_API_KEY"
NO_SETTINGS = frozenset({CONFIG, URL, API_KEY})
"""Variables of the command line: where the file is, and which gateway a client talks to."""


def overlaid(table: Table, environ: Mapping[str, str]) -> Table:
    """The table with every variable's setting put over it, `HEADPOND_A` before `HEADPOND_A__B`."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in NO_SETTINGS:
            table = put(table, path_of(name), _read(name, environ[name]))
    return table


def _read(variable: str, value: str) -> Written:
    if takes_text(type_at(path_of(variable))):
        return read_text(value, variable)
    return read_value(value, variable)


def path_of(variable: str) -> Path:
    """Which setting a variable sets."""
    return tuple(variable.removeprefix(PREFIX).lower().split(LEVEL))


def variable_of(path: Path) -> str:
    """Which variable sets a setting."""
    return PREFIX + LEVEL.join(path).upper()
