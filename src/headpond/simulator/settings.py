"""What a simulation is asked for, as the command line says it, and the setting that it makes."""

from pathlib import Path

import msgspec

from headpond.errors import InvalidRequest
from headpond.simulator.capacity import Capacity, flat, of_engine
from headpond.simulator.engine.profiles import Profile, profile
from headpond.simulator.fluid import STEP_S, Setting
from headpond.simulator.machines import MACHINES, ColdStart, read_spot
from headpond.simulator.traces.arrivals import Trace

DEFAULT_ENGINE = "A10G/awq"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The machines of a simulation. Either an engine, or what a worker does a second."""

    engine: str = DEFAULT_ENGINE
    worker_rate: float | None = None
    at_once: int = 16
    cold_start_s: float = 240.0
    cold_start_spread: float = 0.0
    usd_per_hour: float | None = None
    spot_usd_per_hour: float | None = None
    spot_trace: Path | None = None
    on_demand: int = 0
    target_wait_s: float = 60.0


def setting_of(trace: Trace, seed: int, asked: Asked) -> Setting:
    """The setting for a trace. Raises InvalidRequest."""
    chosen = profile(asked.engine)
    machine = MACHINES.get(chosen.card.name)
    on_demand = machine.on_demand_usd if machine else asked.usd_per_hour
    if on_demand is None:
        message = f"No price is known for {chosen.card.name}; say --usd-per-hour."
        raise InvalidRequest(message, code="invalid_value", param="--usd-per-hour")
    spot = machine.spot_usd if machine else on_demand
    return Setting(
        trace=trace,
        seed=seed,
        capacity=_capacity(trace, seed, asked, chosen),
        cold_start=ColdStart(median_s=asked.cold_start_s, sigma=asked.cold_start_spread),
        on_demand_usd=on_demand if asked.usd_per_hour is None else asked.usd_per_hour,
        spot_usd=spot if asked.spot_usd_per_hour is None else asked.spot_usd_per_hour,
        on_demand=asked.on_demand,
        market=None if asked.spot_trace is None else read_spot(asked.spot_trace),
        target_wait_s=asked.target_wait_s,
    )


def _capacity(trace: Trace, seed: int, asked: Asked, chosen: Profile) -> Capacity:
    if asked.worker_rate is not None:
        return flat(asked.worker_rate, concurrency=asked.at_once)
    prompt_tokens, answer_tokens = mean_lengths(trace, seed)
    return of_engine(
        chosen.engine,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
        at_once=asked.at_once,
    )


def mean_lengths(trace: Trace, seed: int) -> tuple[float, float]:
    """Mean tokens of prompts and of answers over the whole trace."""
    requests = prompts = answers = 0.0
    for come in trace.bins(seed, STEP_S):
        requests += come.requests
        prompts += come.prompt_tokens
        answers += come.answer_tokens
    return (prompts / requests, answers / requests) if requests else (1.0, 1.0)
