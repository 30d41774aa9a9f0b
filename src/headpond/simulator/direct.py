"""No queue: a load balancer before the machines, as the article warns against.

Requests go to serving machines in equal shares. A machine holds `concurrency` at a time and works
them off at its rate. What then happens to one that is asked for more is `overload`:

    crash    as the article says: its memory is full, it dies with all that it holds, each of them
             an error (503), and its replacement makes a cold start
    queue    as vLLM behaves: it holds them back; a client gives up after `patience_s` (504)

Without a serving machine every request is an error at once. One machine crashes in a step of 5 s:
its neighbours get its share, and are the next.
"""

from typing import Literal

from typing_extensions import override

from headpond.simulator.fleet import Fleet
from headpond.simulator.fluid import STEP_S, Front
from headpond.simulator.waits import Line

PATIENCE_S = 60.0
"""An Application Load Balancer's idle time-out, unless it is set (AWS, Elastic Load Balancing)."""


class Balancer(Front):
    """One for each simulation."""

    def __init__(
        self,
        overload: Literal["crash", "queue"] = "crash",
        *,
        concurrency: int = 16,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__()
        self._crashing = overload == "crash"
        self._concurrency = concurrency
        self._patience_s = patience_s

    @override
    def admit(self, line: Line, fleet: Fleet, step: int, requests: float, work_s: float) -> None:
        if fleet.ready:
            line.join(step, requests, work_s)
        else:
            self.errors += requests

    @override
    def settle(self, line: Line, fleet: Fleet, step: int) -> None:
        if not self._crashing:
            self.errors += line.leave(step, self._patience_s)
        elif fleet.ready and line.requests > self._room(line, fleet):
            self.errors += line.lose(1 / fleet.ready)
            fleet.lose_one(step * STEP_S)
            self.crashes += 1

    def _room(self, line: Line, fleet: Fleet) -> float:
        """What the machines hold, and what they work off while the step's requests come."""
        return fleet.ready * (self._concurrency + STEP_S * line.per_work_s)
