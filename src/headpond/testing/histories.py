"""What random histories of every port share: a clock, a backend beside the model, an event loop."""

import asyncio
import sys
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Generic, TypeVar

from hypothesis.stateful import RuleBasedStateMachine
from typing_extensions import override

from headpond.testing.clocks import ManualClock

R = TypeVar("R")
T = TypeVar("T")


class Histories(RuleBasedStateMachine, Generic[R]):
    """Steps of a backend, `real`, on a clock that the rules move."""

    begins: ClassVar[float] = 1_000_000.0
    """Where the clock begins, in Unix seconds."""

    def backend(self, clock: ManualClock) -> AbstractAsyncContextManager[R]:
        """An empty backend on this clock."""
        raise NotImplementedError("give the histories a backend on this clock")

    def at_the_end(self) -> None:
        """What must hold once everything that can still happen has happened."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock(self.begins)
        self.opened = self.backend(self.clock)
        self.real: R = self.wait(self.opened.__aenter__())

    @override
    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.at_the_end()
        finally:
            self.wait(self.opened.__aexit__(None, None, None))
            self.runner.close()

    def wait(self, step: Awaitable[T]) -> T:
        """Run a step on the machine's own event loop."""
        return self.runner.get_loop().run_until_complete(step)
