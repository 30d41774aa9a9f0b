"""The machine's clock."""

import time

from typing_extensions import override

from headpond.ports.clock import Clock


class SystemClock(Clock):
    """Wall time as the operating system tells it."""

    @override
    def now(self) -> float:
        return time.time()
