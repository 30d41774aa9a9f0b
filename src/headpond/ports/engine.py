"""The engine: whatever turns a request into an answer."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec

from headpond.domain.deltas import Choices
from headpond.domain.outcome import Outcome

Tell: TypeAlias = Callable[[Choices], None]
"""Takes the next piece of an answer. Must be quick; must not block."""


class Gauges(msgspec.Struct, frozen=True, kw_only=True):
    """An engine's load. None means that the engine does not tell: unknown is not zero.

    `kv_usage` is the used share of the KV cache, 0 to 1.
    """

    running: int | None = None
    waiting: int | None = None
    kv_usage: float | None = None


class Engine(Protocol):
    """One inference server. Its failures are outcomes, not exceptions."""

    @property
    def name(self) -> str:
        """What records and metrics call it."""
        ...

    async def complete(self, model: str, request: bytes) -> Outcome:
        """Run a chat completion. `request` is a JSON object without `model`.

        A cancelled call aborts the request at the engine.
        """
        ...

    async def stream(self, model: str, request: bytes, tell: Tell) -> Outcome:
        """As `complete`, telling each piece of the answer as it comes; the outcome is the same.

        An engine that cannot stream tells nothing.
        """
        del tell
        return await self.complete(model, request)

    async def healthy(self) -> bool:
        """True when the engine can take requests now."""
        ...

    async def models(self) -> list[str]:
        """The names of the models it serves; empty when it does not answer."""
        ...

    async def gauges(self) -> Gauges:
        """Its load now; all None when it does not answer."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class EngineServer(Protocol):
    """An engine that lives and dies with its worker: the embedded one."""

    async def start(self) -> None:
        """Start the server's process; it may take a while to become healthy."""
        ...

    async def watch(self) -> None:
        """Start the server again whenever it dies; runs until cancelled."""
        ...

    async def stop(self) -> None:
        """End the process. Works twice, and before start."""
        ...
