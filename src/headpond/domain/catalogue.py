"""Which pool serves which model.

The catalogue is settings, not live workers: a pool scaled to zero still takes work.
"""

from collections.abc import Mapping, Sequence

import msgspec


class Route(msgspec.Struct, frozen=True):
    """Where a request goes, and the model name that its engine will see."""

    pool: str
    model: str


class Catalogue(msgspec.Struct, frozen=True):
    """Pools with the models they serve, in order; a pool without a list serves any model."""

    pools: Mapping[str, Sequence[str]]

    def route(self, model: str | None) -> Route | None:
        """The pool for a model, the first pool's default without one; None if nobody serves it."""
        if model is None:
            for pool, models in self.pools.items():
                return Route(pool, models[0]) if models else None
        for pool, models in self.pools.items():
            if model in models:
                return Route(pool, str(model))
        for pool, models in self.pools.items():
            if not models and model:
                return Route(pool, model)
        return None

    def models(self) -> list[Route]:
        """Every listed model with its pool."""
        return [Route(pool, model) for pool, models in self.pools.items() for model in models]
