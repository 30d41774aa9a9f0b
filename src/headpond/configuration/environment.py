"""`HEADPOND_…__…` variables: settings with `__` between the levels."""

import re
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


_LINK = re.compile(
    r"HEADPOND_(?:[A-Z0-9]+_)*"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_[A-Z]+(?:_(?:ADDR|PORT|PROTO))?)"
)
_LINK_URL = re.compile(r"(?:tcp|udp|sctp)://.*")


def is_link(variable: str, value: str) -> bool:
    """Whether Kubernetes or Docker sets the variable to say where a service is.

    For a service `headpond` they are HEADPOND_SERVICE_HOST, HEADPOND_PORT=tcp://… and
    HEADPOND_PORT_8080_TCP…; for `headpond-gateway`, HEADPOND_GATEWAY_SERVICE_HOST and so on.
    """
    if variable.endswith("_PORT") and _LINK_URL.fullmatch(value):
        return True
    return _LINK.fullmatch(variable) is not None


def overlaid(table: Table, environ: Mapping[str, str]) -> Table:
    """The table with every variable's setting put over it, `HEADPOND_A` before `HEADPOND_A__B`.

    An empty variable of a setting says nothing: Compose's `${X:-}` is one where there is no X.
    """
    for name in sorted(environ):
        value = environ[name]
        if _says_something(name, value):
            table = put(table, path_of(name), _read(name, value))
    return table


def _says_something(variable: str, value: str) -> bool:
    if not variable.startswith(PREFIX) or variable in NO_SETTINGS or is_link(variable, value):
        return False
    # One that names no setting is a mistake, empty or not.
    return bool(value) or type_at(path_of(variable)) is None


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
