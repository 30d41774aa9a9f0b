"""Names that others choose, as they are written where only so many bytes fit."""

from bisect import bisect_right
from collections.abc import Callable
from hashlib import sha256

DIGEST_CHARS = 32
"""128 bits in hex: nobody finds two names with the same ones."""


def bounded(
    name: str, most: int, *, write: Callable[[str], str] = str, before_digest: str = "~"
) -> str:
    """The name as `write` writes it, where that has at most so many bytes in UTF-8.

    What is longer is its beginning and a digest of all of it, so `most` must have room for that. A
    name that fits is as it always was, and what was found by it is found. Bounding twice is
    bounding once, if `write` leaves names as they are.
    """
    if _size(write(name)) <= most:
        return write(name)
    end = before_digest + sha256(name.encode()).hexdigest()[:DIGEST_CHARS]
    # No character is written in part, be it in several bytes or in several signs.
    lengths = range(len(name) + 1)
    room = most - len(end)
    fitting = bisect_right(lengths, room, key=lambda length: _size(write(name[:length]))) - 1
    return write(name[:fitting]) + end


def _size(text: str) -> int:
    return len(text.encode())
