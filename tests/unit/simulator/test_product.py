"""The product itself under simulated load: nothing is lost, and it agrees with the models."""

import asyncio

import pytest
from msgspec.structs import replace

from headpond.domain.outcome import Answered, Died, Refused
from headpond.domain.scaling.rules import ScalingRules
from headpond.simulator.capacity import of_engine
from headpond.simulator.engine.core import Engine
from headpond.simulator.engine.pace import Pace
from headpond.simulator.fluid import Setting, demand_of, flow
from headpond.simulator.machines import ColdStart, SpotMarket
from headpond.simulator.product.engine import ModelledEngine
from headpond.simulator.product.simulation import run_product
from headpond.simulator.scalers.fixed import Fixed
from headpond.simulator.scalers.ruled import Ruled
from headpond.simulator.traces.arrivals import Arrival
from headpond.simulator.traces.requests import RequestTrace
from headpond.testing.virtual_time import run_virtually

MODEL = Engine(
    pace=Pace(
        base_s=0.001,
        weights_s=0.02,
        per_token_s=0.0002,
        per_sequence_s=0.0001,
        per_kv_token_s=1e-6,
    ),
    kv_tokens=20_000,
)
BURST = RequestTrace("burst", [Arrival(0.1 * n, 200, 40) for n in range(300)], span_s=1200.0)
SETTING = Setting(
    trace=BURST,
    capacity=of_engine(MODEL, prompt_tokens=200, answer_tokens=40, at_once=8),
    cold_start=ColdStart(median_s=20.0),
)


def test_a_burst_from_zero_is_answered_and_the_fleet_goes_back_to_zero() -> None:
    rules = ScalingRules(down_cooldown_s=60.0)
    result = run_product(SETTING, MODEL, rules, "flow", at_once=8)
    assert (result.requests, result.errors) == (300, 0)
    assert 20 <= result.wait_p99_s < 120
    assert result.latency_p50_s is not None
    assert result.latency_p50_s > result.wait_p50_s
    assert result.decisions[-1].after == 0
    assert result.moments[-1].ready == 0
    assert result.hours.busy > 0
    assert result == run_product(SETTING, MODEL, rules, "flow", at_once=8)


def test_the_autoscaler_decides_as_the_fluid_model_has_it() -> None:
    rules = ScalingRules(down_cooldown_s=60.0)
    product = run_product(SETTING, MODEL, rules, "flow", at_once=8)
    looked = run_product(SETTING, MODEL, Ruled(rules), "flow", at_once=8)
    fluid = flow(SETTING, demand_of(SETTING), Ruled(rules), "flow")
    for other in (looked, fluid):
        assert other.hours.total == pytest.approx(product.hours.total, rel=0.3)
        assert other.wait_p50_s == pytest.approx(product.wait_p50_s, abs=15)


def test_enough_machines_let_nobody_wait() -> None:
    result = run_product(replace(SETTING, warm=4), MODEL, Fixed(4), "static", at_once=8)
    assert result.wait_p99_s < 0.5
    assert result.starts == 0
    assert result.hours.total == pytest.approx(4 * 1200 / 3600, rel=0.01)
    lasts_h = (30 + 2) / 3600
    assert result.work_bound_h <= result.hours.busy <= 4 * lasts_h  # one works, or all do


# SPEC W4: what runs on a machine that is taken away runs elsewhere.
def test_jobs_on_machines_that_are_taken_away_are_answered_all_the_same() -> None:
    market = SpotMarket(15.0, (4, 4, 1, 4))
    setting = replace(SETTING, warm=4, market=market, on_demand=0)
    result = run_product(setting, MODEL, Fixed(4), "static", at_once=8)
    assert result.interruptions > 0
    assert (result.requests, result.errors) == (300, 0)
    assert result.cost_usd == pytest.approx(result.hours.total * setting.spot_usd, rel=0.1)


def test_an_engine_answers_refuses_and_dies() -> None:
    async def experiment() -> None:
        engine = ModelledEngine("engine", MODEL)
        prompt = b'{"prompt_tokens":100,"max_tokens":10}'
        answer = await engine.complete("model", prompt)
        assert isinstance(answer, Answered)
        assert answer.usage.completion_tokens == 10
        assert engine.busy_s == pytest.approx(asyncio.get_running_loop().time())
        long = await engine.complete("model", b'{"prompt_tokens":90000,"max_tokens":10}')
        assert isinstance(long, Refused)
        asked = asyncio.create_task(engine.complete("model", prompt))
        dropped = asyncio.create_task(engine.complete("model", prompt))
        await asyncio.sleep(0.03)
        assert (await engine.gauges()).running == 2
        dropped.cancel()
        await asyncio.wait([dropped])
        assert (engine.name, await engine.models(), await engine.healthy()) == (
            "engine",
            ["model"],
            True,
        )
        engine.die()
        assert isinstance(await asked, Died)
        assert isinstance(await engine.complete("model", prompt), Died)
        assert not await engine.healthy()
        await engine.close()

    run_virtually(experiment())
