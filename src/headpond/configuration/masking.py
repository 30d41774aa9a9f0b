"""What must not be shown of a value, replaced."""

import re

MASK = "****"

_AFTER_PLACE = re.compile(r"[?#]")


def masked(text: str) -> str:
    """A URL without userinfo and query; other text as it is.

    People write passwords with `@`, `?` and `#` in them. Where such a character leaves open what is
    password, place or query, all of it is masked.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    before, *after = _AFTER_PLACE.split(rest, maxsplit=1)
    if after and "@" in after[0]:
        return f"{scheme}://{MASK}"
    _, at, place = before.rpartition("@")
    return f"{scheme}://{MASK + at if at else ''}{place}{'?' + MASK if after else ''}"
