"""What others do when they scale, rule by rule."""

from pathlib import Path

import pytest

from headpond.domain.quote import Backlog
from headpond.domain.scaling.observation import Crew, Observation
from headpond.errors import InvalidRequest
from headpond.simulator.capacity import flat
from headpond.simulator.fluid import Setting, demand_of
from headpond.simulator.scalers.article import StepAlarms, WorkerScaler
from headpond.simulator.scalers.gauges import Cpu, RequestCount
from headpond.simulator.scalers.keda import Keda
from headpond.simulator.scalers.naming import OTHERS, OURS, Bounds, contender
from headpond.simulator.scalers.scaler import Scaler, Sight
from headpond.simulator.traces import read_trace


def sight(size: int, visible: float = 0.0, *, arrived: int = 0, utilization: float = 0.0) -> Sight:
    """So many ready machines, so many requests that wait."""
    seen = Observation(
        waiting=Backlog(round(visible)), arrived=Backlog(arrived), crew=Crew(ready=size)
    )
    return Sight(seen, visible, utilization)


def follow(scaler: Scaler, seen: list[float], size: int = 0) -> list[int]:
    """The sizes that come of looking at these queues one after the other."""
    sizes: list[int] = []
    for number, visible in enumerate(seen):
        size = scaler.look(sight(size, visible), number * scaler.every_s).target
        sizes.append(size)
    return sizes


def test_the_article_asks_for_a_worker_each_fifty_messages_within_its_cooldowns() -> None:
    assert follow(WorkerScaler(), [500, 500]) == [10, 10]
    assert follow(WorkerScaler(), [60, 120, 120, 120, 120]) == [2, 2, 2, 2, 3]
    assert follow(WorkerScaler(), [100, *[0] * 21]) == [2, *[0] * 21]
    assert follow(WorkerScaler(least=1), [0, 0]) == [1, 1]


def test_the_second_scale_in_of_the_article_waits_ten_minutes() -> None:
    assert follow(WorkerScaler(), [100, 50, *[0] * 20]) == [2, 1, *[1] * 19, 0]


def test_the_alarms_add_one_machine_after_two_minutes_and_take_one_after_ten() -> None:
    assert follow(StepAlarms(), [500, 500, 500, 500, 500]) == [0, 0, 1, 1, 2]
    assert follow(StepAlarms(), [0] * 12, size=2) == [2] * 10 + [1, 1]


def test_keda_wakes_one_machine_and_leaves_the_rest_to_the_hpa() -> None:
    keda = Keda(messages_per_worker=50)
    assert follow(keda, [500, 500, 500, 500]) == [1, 5, 10, 10]


def test_the_hpa_shrinks_to_the_highest_of_five_minutes_and_keda_to_zero() -> None:
    sizes = follow(Keda(cooldown_s=600), [500, 500, 500, 500, *[0] * 44], size=0)
    assert sizes[3:22] == [10] * 19
    assert sizes[-8:] == [1, 1, 0, 0, 0, 0, 0, 0]


def test_the_hpa_stays_within_a_tenth() -> None:
    assert follow(Keda(), [105, 105], size=2) == [2, 2]


def test_cpu_is_never_high_when_the_gpu_does_the_work() -> None:
    cpu = Cpu()
    sizes = [cpu.look(sight(5, 900, utilization=1.0), 60.0 * minute).target for minute in range(15)]
    assert sizes == [5] * 14 + [4]


def test_request_count_needs_three_minutes_above_its_target() -> None:
    scaler = RequestCount(40)
    sizes: list[int] = []
    for minute in range(4):
        look = sight(1, arrived=100 * (minute + 1))
        sizes.append(scaler.look(look, 60.0 * minute).target)
    assert sizes == [1, 1, 3, 1]


SETTING = Setting(trace=read_trace("office:1.9", days=0.5), capacity=flat(1.0))
DEMAND = demand_of(SETTING)


@pytest.mark.parametrize("name", [*OURS, *OTHERS])
def test_every_policy_has_its_name_and_stays_within_the_bounds(name: str) -> None:
    one = contender(name, SETTING, DEMAND, Bounds(most=3))
    assert one.name == name
    assert 0 <= one.scaler.look(sight(1, 1_000), 1_767_600_000.0).target <= 3


def test_static_is_what_nearly_all_spans_need_and_forecast_looks_ahead() -> None:
    static = contender("static", SETTING, DEMAND, Bounds())
    assert static.scaler.look(sight(0), 0.0).target == 3
    forecast = contender("forecast", SETTING, DEMAND, Bounds())
    opens = 1_767_571_200.0 + 8 * 3600
    assert forecast.scaler.look(sight(0), opens - 600).target == 0
    assert forecast.scaler.look(sight(0), opens - 180).target >= 2
    assert forecast.scaler.look(sight(0), opens + 99 * 3600).target == 0


def test_rules_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("policy: queue-depth\nmessages_per_worker: 10\nmax: 7\n")
    one = contender(str(file), SETTING, DEMAND, Bounds())
    assert one.name == "mine"
    assert one.scaler.look(sight(0, 65), 0.0).target == 7
    file.write_text("politics: flow\n")
    with pytest.raises(InvalidRequest, match="no scaling rules"):
        contender(str(file), SETTING, DEMAND, Bounds())
    with pytest.raises(InvalidRequest, match="no policy 'best'"):
        contender("best", SETTING, DEMAND, Bounds())
