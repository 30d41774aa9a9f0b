"""The gate: whether the engine may be given work.

It opens when the engine says that it is healthy, and closes as the table in `domain/outcome.py`
says: until the engine is healthy again, or for a while besides. An engine that fails with everybody
counts as unhealthy whatever it says, and gets one request at a time (`domain/breaker.py`).
"""

import asyncio
import math
from collections.abc import Callable
from typing import assert_never

from headpond.domain.breaker import HEALTHY
from headpond.domain.facts import EngineBroken, EngineHealth, EngineStarting
from headpond.domain.outcome import (
    Answered,
    Broke,
    Died,
    Misconfigured,
    NotNow,
    Outcome,
    Refused,
    pause_s,
)
from headpond.domain.retry import backoff_s
from headpond.errors import Unavailable
from headpond.ports.engine import Engine
from headpond.ports.events import Listener
from headpond.services.complaints import Complaints
from headpond.settings import PoolSettings

HEALTH_EVERY_S = 0.5


class Gate:
    """One per worker. `chance` as the worker's.

    `gave_up` is set when the engine was not healthy once within `start_grace_s` of the start.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        settings: PoolSettings,
        listener: Listener,
        chance: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._listener = listener
        self._chance = chance
        self.gave_up = asyncio.Event()
        self._give_up_at = math.inf
        self._open = False
        self._shut_since = 0.0
        self._paused_until = 0.0
        self._was_healthy: bool | None = None
        self._starting_told = False
        self._breaker = HEALTHY
        self._misconfigured = Complaints("engine", listener)

    def start(self) -> None:
        """The engine's time to become healthy begins."""
        self._shut_since = _now()
        self._give_up_at = _now() + self._settings.engine.start_grace_s

    @property
    def engine_is_away(self) -> bool:
        """True when the gate has been shut for longer than an engine may take to become healthy."""
        return not self._open and _now() - self._shut_since > self._settings.engine.start_grace_s

    @property
    def broken(self) -> bool:
        """True while the engine fails with everybody."""
        return self._breaker.broken

    @property
    def limit(self) -> int:
        """How many requests the engine may have at once."""
        most = self._settings.max_in_flight
        return most if self._breaker.limit is None else min(most, self._breaker.limit)

    async def wait_s(self) -> float:
        """0 when the engine may be given work, else the seconds until it is worth asking again."""
        left_s = self._paused_until - _now()
        if left_s > 0:
            return min(left_s, HEALTH_EVERY_S)
        if not self._open:
            self._open = await self._engine.healthy()
            self._note_health(healthy=self._open and not self.broken)
        return 0.0 if self._open else HEALTH_EVERY_S

    def close(self, pause_s: float = 0.0) -> None:
        """Ask for the engine's health before it gets more work, and not before `pause_s`."""
        if self._open:
            self._shut_since = _now()
        self._open = False
        self._paused_until = max(self._paused_until, _now() + pause_s)

    def engine_failed(self, reason: str) -> None:
        """Close for longer the more often it failed in a row with all that it had."""
        was_broken, self._breaker = self.broken, self._breaker.failed()
        failures = self._breaker.failures
        self.close(backoff_s(self._settings.retry, failures, self._chance()))
        if self.broken and not was_broken:
            self._listener.hear(EngineBroken(self._engine.name, failures, reason))
            self._note_health(healthy=False)

    def heed(self, outcome: Outcome) -> None:
        """Close if what the engine said to a request asks for it."""
        match outcome:
            case NotNow():
                self.close(pause_s(outcome, self._settings.retry))
            case Misconfigured(reason):
                told = f"{self._engine.name}: {reason}"
                self._misconfigured.failed(Unavailable(told, code="engine_misconfigured"))
                self.close(self._settings.retry.not_now_s)
            case Died() | Broke():
                self.close()
            case Answered():
                self._misconfigured.went_well()
                if self._breaker is not HEALTHY:
                    self._breaker = self._breaker.answered(self._settings.max_in_flight)
                    self._note_health(healthy=True)
            case Refused():
                pass
            case _:  # pragma: no cover
                assert_never(outcome)

    def _note_health(self, *, healthy: bool) -> None:
        if healthy:
            self._give_up_at = math.inf
        elif _now() >= self._give_up_at:
            self.gave_up.set()
        elif self._give_up_at < math.inf:
            if not self._starting_told:
                self._starting_told = True
                self._listener.hear(EngineStarting(self._engine.name))
            return
        if healthy is not self._was_healthy:
            self._was_healthy = healthy
            self._listener.hear(EngineHealth(self._engine.name, healthy))


def _now() -> float:
    return asyncio.get_running_loop().time()
