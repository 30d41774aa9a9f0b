"""The load of a worker's engine."""

from headpond.ports.engine import Engine, Gauges


class Load:
    """The engine's gauges as they were last read; nothing is known before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.gauges = Gauges()

    @property
    def crowded(self) -> bool:
        """True when the engine runs or holds requests; False too if it does not tell."""
        return bool(self.gauges.running or self.gauges.waiting)

    async def read(self) -> None:
        """Ask the engine."""
        self.gauges = await self._engine.gauges()
