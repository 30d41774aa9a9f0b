"""When an engine counts as broken for everybody, and how it gets work again.

An engine that one request takes down answers others. Suspects are tried breadth first
(`domain/suspects.py`): all, both halves, all quarters. When these seven have failed in a row, and
nobody was answered in between, it is the engine. It gets one request at a time then, to try it, and
once one is answered, one more with each that is.
"""

import msgspec
from msgspec.structs import replace

FAILURES_OF_AN_ENGINE = 7


class Breaker(msgspec.Struct, frozen=True):
    """What is known of one engine.

    `failures` came in a row. `limit` is how many requests it should get at once, None as many as
    the settings allow.
    """

    failures: int = 0
    limit: int | None = None

    @property
    def broken(self) -> bool:
        """It fails with everybody."""
        return self.failures >= FAILURES_OF_AN_ENGINE

    def failed(self) -> "Breaker":
        """It failed with all that it had."""
        after = replace(self, failures=self.failures + 1)
        return replace(after, limit=1) if after.broken else after

    def answered(self, most: int) -> "Breaker":
        """It answered a request; `most` is what the settings allow."""
        if self.limit is None or self.limit + 1 >= most:
            return HEALTHY
        return Breaker(limit=self.limit + 1)


HEALTHY = Breaker()
