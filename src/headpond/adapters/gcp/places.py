"""Where a backend is: a project, a prefix of its names, and of Firestore which database.

Who we are is found by application default credentials: environment, service account of the machine
or the pod. `FIRESTORE_EMULATOR_HOST` and `PUBSUB_EMULATOR_HOST` lead to emulators.
"""

from urllib.parse import parse_qs, urlsplit

import msgspec


class Place(msgspec.Struct, frozen=True):
    """`database` is of Firestore alone."""

    project: str
    prefix: str
    database: str = "(default)"


def place_of(url: str) -> Place:
    """The place that `SCHEME://PROJECT/PREFIX?database=NAME` names. Raises ValueError."""
    parts = urlsplit(url)
    prefix, query = parts.path.strip("/"), parse_qs(parts.query, strict_parsing=bool(parts.query))
    if not parts.netloc or not prefix or "/" in prefix or set(query) - {"database"}:
        message = f"{url!r} is not of the form {parts.scheme}://PROJECT/PREFIX"
        raise ValueError(message)
    return Place(parts.netloc, prefix, *query.get("database", []))
