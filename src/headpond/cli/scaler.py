"""`headpond scaler`: the process that scales pools, and what operators ask and tell it."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Annotated

import typer

from headpond.cli.console import local_time, show_json, show_table, show_text
from headpond.cli.options import (
    ColdStartOption,
    ConfigOption,
    JsonOption,
    SupervisedOption,
    load_settings,
)
from headpond.cli.worker import pool_named
from headpond.configuration.environment import CONFIG
from headpond.domain.scaling import queue_depth
from headpond.domain.scaling.observation import Crew, Orders
from headpond.domain.scaling.state import ScalingState, ScalingStep
from headpond.errors import SettingsError
from headpond.processes.loop import run
from headpond.processes.scaler import run_scaler
from headpond.processes.stopping import Stopping
from headpond.services import hindsight
from headpond.settings import Settings
from headpond.wiring.stores import open_store

app = typer.Typer(help="Scale pools between none and as many workers as there is work for.")

PoolOption = Annotated[str | None, typer.Option(help="The pool.", show_default="the only one")]
ForOption = Annotated[
    float | None, typer.Option("--for", min=1, help="Seconds after which it ends by itself.")
]


@app.callback(invoke_without_command=True)
def scaler(
    context: typer.Context,
    *,
    config: ConfigOption = None,
    cold_start: ColdStartOption = 0.0,
    supervised: SupervisedOption = False,
) -> None:
    """Without a command: scale worker processes on this machine, until stopped."""
    if context.invoked_subcommand is None:
        run(_scale(config, cold_start, supervised=supervised))


@app.command()
def status(
    *, pool: PoolOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """How many workers there should be, why, and what an operator ordered."""
    settings = load_settings(config).settings
    name = pool_named(pool, settings)
    state, steps = asyncio.run(_read(settings, name, 1))
    step = steps[0] if steps else None
    rules = settings.pools[name].scaling
    if as_json:
        show_json({"decides": rules.decides, "state": state, "last": step})
    elif rules.decides == "other":
        show_text(
            f"{name}: another decides how many workers there are "
            f"(pools.{name}.scaling.decides). A scaler only has busy ones go last."
        )
    else:
        show_text(in_words(state, step, rules.max, time.time()))


@app.command()
def history(
    *,
    pool: PoolOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many decisions.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The last decisions, the newest first: those that changed something, and one a minute."""
    settings = load_settings(config).settings
    _, steps = asyncio.run(_read(settings, pool_named(pool, settings), limit))
    if as_json:
        show_json(steps)
    else:
        rows = [(local_time(s.at), f"{s.before} → {s.target}", s.why) for s in steps]
        show_table(("at", "workers", "why"), rows)


@app.command()
def pause(
    *, pool: PoolOption = None, lasting: ForOption = None, config: ConfigOption = None
) -> None:
    """Leave the pool at as many workers as it has. The caps on money and `max` go on."""
    _order(config, pool, lambda until: Orders(paused=True, until=until), lasting)


@app.command()
def override(
    workers: Annotated[int, typer.Argument(min=0, help="So many workers.")],
    *,
    pool: PoolOption = None,
    lasting: ForOption = None,
    config: ConfigOption = None,
) -> None:
    """Have so many workers, whatever comes. The caps on money and `max` go on."""
    _order(config, pool, lambda until: Orders(workers=workers, until=until), lasting)


@app.command()
def resume(*, pool: PoolOption = None, config: ConfigOption = None) -> None:
    """Let the policy decide again."""
    _order(config, pool, lambda _: Orders(), None)


@app.command()
def learn(
    *, pool: PoolOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Teach the policy `predictive` the times of day and week, from the audit log's last 8 days."""
    settings = load_settings(config).settings
    name = pool_named(pool, settings)
    policy = settings.pools[name].scaling.policy
    if policy != "predictive":
        raise SettingsError(
            f"The pool {name!r} has the policy {policy!r}, which looks at no times of day. "
            f"Set pools.{name}.scaling.policy to predictive."
        )
    jobs = asyncio.run(_learn(settings, name))
    if as_json:
        show_json({"pool": name, "jobs": jobs})
    else:
        show_text(f"{name}: learnt from {jobs} jobs.")


@app.command()
def messages_per_worker(
    *,
    throughput: Annotated[
        float, typer.Option(min=0.001, help="Jobs a minute that a full worker did in a load test.")
    ],
    latency: Annotated[float, typer.Option(min=0.001, help="Seconds that a job may take.")],
    as_json: JsonOption = False,
) -> None:
    """The most that `scaling.messages_per_worker` should be, from a load test."""
    most = queue_depth.messages_per_worker(throughput, latency)
    if as_json:
        show_json({"messages_per_worker": most})
    else:
        show_text(f"messages_per_worker: {most}")


def in_words(state: ScalingState, step: ScalingStep | None, most: int, now: float) -> str:
    """Why so many workers? As of the last decision, with the order in force and the last crew."""
    if state.decided_at is None:
        lines = [f"No decision was taken for the pool {state.pool} yet."]
    else:
        lines = [
            f"{state.pool}: {state.memory.target} workers, because {state.why}.",
            f"That was decided at {local_time(state.decided_at)}.",
        ]
    lines.append(f"In force: {orders_in_words(state.orders, most, now)}.")
    if step is not None and step.seen.crew is not None:
        lines.append(f"At {local_time(step.at)} there were {crew_in_words(step.seen.crew)}.")
    if state.leader is None or now >= state.leased_until:
        lines.append("No scaler is at work.")
    return "\n".join(lines)


def crew_in_words(crew: Crew) -> str:
    """Who is there, and of those that are starting, how many are pending and why one of them is."""
    pending = f", {crew.pending} of them pending" if crew.pending else ""
    why = f" ({crew.why})" if crew.why else ""
    starting = f"{len(crew.starting)} starting{pending}{why}"
    return f"{crew.ready} ready, {starting}, {crew.draining} draining"


def orders_in_words(orders: Orders, most: int, now: float) -> str:
    """What is ordered, and until when; `most` is the pool's `max`."""
    if not orders.in_force(now):
        return "no order, the policy decides"
    what = "paused" if orders.workers is None else f"{orders.workers} workers"
    until = "" if orders.until is None else f" until {local_time(orders.until)}"
    above = orders.workers is not None and orders.workers > most
    return f"{what}{until}" + (f"; max is {most}" if above else "")


async def _scale(config: str | None, cold_start_s: float, *, supervised: bool) -> None:
    settings = load_settings(config).settings
    stopping = Stopping()
    stopping.listen(supervised=supervised)
    environ = {**os.environ, **({CONFIG: config} if config is not None else {})}
    await run_scaler(settings, environ, stopping, cold_start_s=cold_start_s)


async def _read(
    settings: Settings, pool: str, limit: int
) -> tuple[ScalingState, list[ScalingStep]]:
    async with open_store(settings, make=False) as store:
        return await store.scaling.state(pool), await store.scaling.steps(pool, limit)


async def _learn(settings: Settings, pool: str) -> int:
    async with open_store(settings, make=False) as store:
        return await hindsight.learn(pool, store.audit, store.scaling, store.clock)


def _order(
    config: str | None,
    pool: str | None,
    orders: Callable[[float | None], Orders],
    lasting_s: float | None,
) -> None:
    settings = load_settings(config).settings
    name = pool_named(pool, settings)
    if settings.pools[name].scaling.decides == "other":
        raise SettingsError(
            f"Another decides how many workers the pool {name!r} has "
            f"(pools.{name}.scaling.decides). Give the order there."
        )
    now = time.time()
    given = orders(None if lasting_s is None else now + lasting_s)
    asyncio.run(_give(settings, name, given))
    most = settings.pools[name].scaling.max
    show_text(f"{name}: {orders_in_words(given, most, now)}.")


async def _give(settings: Settings, pool: str, orders: Orders) -> None:
    async with open_store(settings) as store:
        scaling = store.scaling
        # A scaler at work changes the state every few seconds: try until it is between two.
        while not await scaling.swap((await scaling.state(pool)).ordered(orders)):
            pass
