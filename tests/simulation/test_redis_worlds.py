"""Whatever strikes, every promise is kept with the queue on Redis and the records elsewhere."""

import pytest

from headpond.testing.simulation.stores import STORES
from headpond.testing.simulation.world import simulate
from tests.redis_server import Daemon
from tests.simulation.redis_stores import with_redis

SEEDS = range(4)


@pytest.mark.timeout(300)
@pytest.mark.no_cover
@pytest.mark.parametrize("records", STORES)
def test_every_promise_is_kept_in_worlds_with_redis(records: str, valkey: Daemon) -> None:
    # SPEC Q3 Q4 W4
    runs = [simulate(seed, with_redis(valkey, STORES[records])) for seed in SEEDS]
    assert {run.seed: run.violations for run in runs if run.violations} == {}
    assert sum(run.steps for run in runs) > 1_000


def test_a_seed_is_the_same_world_each_time_with_redis(valkey: Daemon) -> None:
    one, other = (simulate(3, with_redis(valkey, STORES["memory"])) for _ in range(2))
    assert one == other
