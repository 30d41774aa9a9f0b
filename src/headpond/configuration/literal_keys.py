"""Keys and passwords that are written out in a file, where a reference should stand.

That the environment says something else does not help: they are in the file.
"""

import re
from collections.abc import Iterator

from headpond.configuration.references import with_marks
from headpond.configuration.rules import Complaint
from headpond.configuration.written import Leaf, Path, Table, find

MARK = "\0"
"""Stands for a reference; no text of YAML has it."""

REDIS = re.compile(r"rediss?(?:\+cluster)?://[^:@/]*:(?P<key>.+)@")
KEYS = (
    (("store",), re.compile(r"cosmos://[^?]*\?(?:.*&)?key=(?P<key>[^&]*)")),
    (("store",), re.compile(r"postgresql://[^:@/]*:(?P<key>[^@]+)@")),
    (("store",), re.compile(r"postgresql://[^?]*\?(?:.*&)?password=(?P<key>[^&]+)")),
    (("queue",), re.compile(r"servicebus://[^:@]*:(?P<key>[^?#]*)@")),
    (("queue",), REDIS),
    (("streams",), REDIS),
    (("limits", "shared"), REDIS),
    (("cache", "url"), REDIS),
)
WHOLE = re.compile(r"(?P<key>.*)", re.DOTALL)


OPTIONS = (("archive", "options"), ("batches", "options"))
SECRET = re.compile(r".*(key|secret|token|password)(_base64)?", re.IGNORECASE)
"""Names of options that hold a secret: not `aws_access_key_id`, not a file with a token."""


def literal_keys(table: Table) -> Iterator[Complaint]:
    """Every key that is no reference, whole; text around one may be a part of it."""
    for path, form in _places(table):
        written = find(table, path)
        if isinstance(written, Leaf) and isinstance(written.value, str):
            found = form.match(with_marks(written.value, MARK))
            if found and found["key"] != MARK:
                yield path, "the secret in it must be a reference, like ${KEY} or ${file:PATH}"


def _places(table: Table) -> Iterator[tuple[Path, re.Pattern[str]]]:
    """Where a key may stand, and in which form."""
    yield from KEYS
    for path in OPTIONS:
        options = find(table, path)
        if isinstance(options, Table):
            yield from (
                ((*path, name), WHOLE) for name in options.entries if SECRET.fullmatch(name)
            )
