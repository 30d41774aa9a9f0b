"""Keys of clouds that are written out in a file, where a reference should stand.

That the environment says something else does not help: they are in the file.
"""

import re
from collections.abc import Iterator

from headpond.configuration.references import with_marks
from headpond.configuration.rules import Complaint
from headpond.configuration.written import Leaf, Table, find

MARK = "\0"
"""Stands for a reference; no text of YAML has it."""

KEYS = {
    ("store",): re.compile(r"cosmos://[^?]*\?(?:.*&)?key=(?P<key>[^&]*)"),
    ("queue",): re.compile(r"servicebus://[^:@]*:(?P<key>[^?#]*)@"),
}


def literal_keys(table: Table) -> Iterator[Complaint]:
    """Every key that is no reference, whole; text around one may be a part of it."""
    for path, form in KEYS.items():
        written = find(table, path)
        if isinstance(written, Leaf) and isinstance(written.value, str):
            found = form.match(with_marks(written.value, MARK))
            if found and found["key"] != MARK:
                yield path, "the key must be a reference, like ${KEY} or ${file:PATH}"
