"""What the load generator is asked to do, passed to its process as JSON."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

NUMBER_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class Load:
    """What to send, how, and for how long.

    The body is `body_before`, a number of ten digits unlike any before it, and `body_after`: a
    server that answers equal requests from a cache would otherwise measure its cache.
    """

    port: int
    path: str
    headers: list[str]
    body_before: str
    body_after: str
    accepted_status: int
    connections: int
    warm_up_s: float
    duration_s: float
    core: int | None

    def write(self, path: Path) -> None:
        """Save it for the generator's process."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Load what `write` saved."""
        return cls(**json.loads(path.read_text()))

    def head(self) -> bytes:
        """Return everything of a request that stands before the number."""
        length = len(self.body_before) + NUMBER_DIGITS + len(self.body_after)
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"host: 127.0.0.1:{self.port}",
            "content-type: application/json",
            f"content-length: {length}",
            *self.headers,
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body_before).encode()
