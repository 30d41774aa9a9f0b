"""The scripts in `scripts/`, which the server runs one at a time and whole."""

import hashlib
from functools import cache
from importlib.resources import files

import msgspec


class Script(msgspec.Struct, frozen=True):
    """A script's text, and the digest under which a server that has seen it knows it."""

    text: str
    digest: str


@cache
def script(*names: str) -> Script:
    """The files `scripts/NAME.lua`, one after the other, as one script."""
    folder = files("headpond.adapters.redis") / "scripts"
    text = "\n".join((folder / f"{name}.lua").read_text() for name in names)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
