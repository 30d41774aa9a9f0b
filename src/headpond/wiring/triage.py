"""Dead letters, for operators."""

from headpond.services.dead_letters import Triage
from headpond.settings import Settings
from headpond.wiring.stores import Store


def triage_of(settings: Settings, store: Store) -> Triage:
    """Nothing is claimed by it, so any pool's delivery will do."""
    return Triage(
        store.dead_letters,
        store.jobs,
        store.batches,
        store.delivery(next(iter(settings.pools.values()))),
        store.clock,
        max_redrives=settings.dead_letters.max_redrives,
        per_second=settings.dead_letters.redrive_per_s,
    )
