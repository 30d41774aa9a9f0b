"""What a runner needs of the interface that a batch was written for."""

from typing import Protocol

import msgspec

from headpond.errors import InvalidRequest
from headpond.ports.batches import Line
from headpond.services.submission import Order


class LineRequest(msgspec.Struct, frozen=True):
    """A line of an input file: what it orders, or why its endpoint would refuse that."""

    custom_id: str
    order: Order | InvalidRequest


class LineFormat(Protocol):
    """Reads lines of input files, and writes those of output and error files."""

    def request(self, endpoint: str, text: bytes) -> LineRequest:
        """What the line asks for. Raises RequestError for what is no line of such a file."""
        ...

    def custom_id(self, text: bytes) -> str:
        """The name of a line that was read before without an error."""
        ...

    def result(self, endpoint: str, custom_id: str, line: Line) -> bytes:
        """The line about a job that has ended."""
        ...

    def gone(self, custom_id: str) -> bytes:
        """The line about a job that is not there any more."""
        ...
