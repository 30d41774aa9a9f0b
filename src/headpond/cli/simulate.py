"""`headpond simulate` and `headpond replay`: what a policy would make of a load, and cost."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from headpond.cli.audit import moment
from headpond.cli.console import note, show_json, show_table, show_text
from headpond.cli.options import ConfigOption, JsonOption, load_settings
from headpond.domain.job import Job
from headpond.domain.statistics import percentile
from headpond.errors import InvalidRequest
from headpond.ports.audit import AuditQuery
from headpond.processes.loop import run
from headpond.simulator.comparison import compare
from headpond.simulator.engine.profiles import profile
from headpond.simulator.report.page import drawing, page
from headpond.simulator.report.table import COLUMNS, rows, summary
from headpond.simulator.scalers.naming import OTHERS, OURS, Bounds
from headpond.simulator.settings import DEFAULT_ENGINE, Asked, setting_of
from headpond.simulator.traces import Trace, read_trace
from headpond.simulator.traces.naming import request_trace
from headpond.simulator.traces.requests import from_jobs
from headpond.wiring.stores import open_store

PolicyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        help="A policy or a YAML file of scaling rules; several are compared.",
        show_default="flow",
    ),
]
CompareOption = Annotated[bool, typer.Option("--compare", help="Every policy that is known.")]
EngineOption = Annotated[
    str, typer.Option(help="Card and weights, as in L4/awq, A100/fp16.", metavar="PROFILE")
]
WorkerRateOption = Annotated[
    float | None,
    typer.Option(help="Requests a second of a worker, instead of an engine's.", min=1e-6),
]
InFlightOption = Annotated[int, typer.Option(min=1, help="Requests at the engine, per worker.")]
ColdStartOption = Annotated[float, typer.Option(min=0, help="Median seconds of a cold start.")]
SpreadOption = Annotated[
    float, typer.Option(min=0, max=2, help="Spread of its logarithm; 0 is always the same.")
]
PriceOption = Annotated[
    float | None,
    typer.Option("--usd-per-hour", min=0, help="Price of a machine.", show_default="the card's"),
]
SpotPriceOption = Annotated[
    float | None, typer.Option("--spot-usd-per-hour", min=0, show_default="the card's")
]
SpotTraceOption = Annotated[
    Path | None, typer.Option(help="Spot machines to be had, as JSON of SkyPilot's spot-traces.")
]
OnDemandOption = Annotated[
    int, typer.Option(min=0, help="With --spot-trace: so many machines are not spot.")
]
LeastOption = Annotated[int, typer.Option("--min", min=0, help="Fewest machines.")]
MostOption = Annotated[int, typer.Option("--max", min=1, help="Most machines.")]
TargetOption = Annotated[float, typer.Option(min=5, help="Later than so many seconds is late.")]
ProductOption = Annotated[
    bool,
    typer.Option(
        "--product",
        help="Run the product's own services and every iteration of the engines, not a fluid.",
    ),
]
OptimumOption = Annotated[
    bool, typer.Option("--optimum", help="Also what no schedule could go below (takes a while).")
]
WarmOption = Annotated[
    int | None,
    typer.Option(min=0, help="Machines at the beginning.", show_default="for its first minutes"),
]
HtmlOption = Annotated[Path | None, typer.Option(help="Write a page with drawings there.")]
SvgOption = Annotated[Path | None, typer.Option(help="Write a drawing of the fleets there.")]
DEFAULT_POLICY = "flow"

SeedOption = Annotated[int, typer.Option(help="Stands for the same run each time.")]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What both commands can be asked for."""

    policies: list[str]
    asked: Asked
    bounds: Bounds
    seed: int
    warm: int | None
    product: bool
    optimum: bool
    html: Path | None
    svg: Path | None
    as_json: bool


def wanted_of(
    *,
    policy: PolicyOption = None,
    every: CompareOption = False,
    engine: EngineOption = DEFAULT_ENGINE,
    worker_rate: WorkerRateOption = None,
    in_flight: InFlightOption = 16,
    seed: SeedOption = 1,
    cold_start_s: ColdStartOption = 240.0,
    cold_start_spread: SpreadOption = 0.0,
    usd_per_hour: PriceOption = None,
    spot_usd_per_hour: SpotPriceOption = None,
    spot_trace: SpotTraceOption = None,
    on_demand: OnDemandOption = 0,
    least: LeastOption = 0,
    most: MostOption = 10,
    warm: WarmOption = None,
    target_wait_s: TargetOption = 60.0,
    product: ProductOption = False,
    optimum: OptimumOption = False,
    html: HtmlOption = None,
    svg: SvgOption = None,
    as_json: JsonOption = False,
) -> Wanted:
    """The options of both commands, put together. Raises InvalidRequest."""
    bounds = Bounds(least=least, most=most)
    bounds.check()
    return Wanted(
        policies=[*OURS, *OTHERS] if every else policy or [DEFAULT_POLICY],
        asked=Asked(
            engine=engine,
            worker_rate=worker_rate,
            at_once=in_flight,
            cold_start_s=cold_start_s,
            cold_start_spread=cold_start_spread,
            usd_per_hour=usd_per_hour,
            spot_usd_per_hour=spot_usd_per_hour,
            spot_trace=spot_trace,
            on_demand=on_demand,
            target_wait_s=target_wait_s,
        ),
        bounds=bounds,
        seed=seed,
        warm=warm,
        product=product,
        optimum=optimum,
        html=html,
        svg=svg,
        as_json=as_json,
    )


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of `wanted_of` in the place of its parameter `wanted`."""
    shared = inspect.signature(wanted_of).parameters
    own = inspect.signature(command).parameters
    merged = [own[name] for name in own if name != "wanted"] + list(shared.values())

    @wraps(command)
    def asked(**options: object) -> None:
        common = {name: options.pop(name) for name in shared}
        command(**options, wanted=wanted_of(**common))  # pyright: ignore[reportArgumentType]

    asked.__signature__ = inspect.Signature(merged)  # pyright: ignore[reportAttributeAccessIssue]
    asked.__annotations__ = {parameter.name: parameter.annotation for parameter in merged}
    return asked


@asking
def simulate(
    *,
    trace: Annotated[
        str,
        typer.Option(
            help="A file (Azure, Mooncake, ServeGen rates, own audit export), or poisson:RATE, "
            "diurnal:RATE, office:RATE, burst:COUNT."
        ),
    ],
    days: Annotated[float | None, typer.Option(min=0.001, help="No more than so many.")] = None,
    scale: Annotated[float, typer.Option(min=1e-6, help="Times as many requests.")] = 1.0,
    wanted: Wanted,
) -> None:
    """Run scaling policies over a trace, on virtual time: waits, machines, money."""
    _compare(read_trace(trace, days=days, scale=scale), wanted)


@asking
def replay(
    *,
    since: Annotated[
        str | None,
        typer.Option("--from", help="Ended then or later; ISO 8601, such as 2030-01-31T08:00."),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Ended before then.")] = None,
    pool: Annotated[str | None, typer.Option(help="Only jobs of this pool.")] = None,
    config: ConfigOption = None,
    wanted: Wanted,
) -> None:
    """Run scaling policies over the own audit log: what they would have cost.

    Waits hang on the machines that are supposed: --engine and --cold-start-s.
    Measured ones are given with --worker-rate and --cold-start-s; a scaler's are
    last.seen.rate.jobs and last.seen.cold_start.p50_s of scaler status --json.
    """
    query = AuditQuery(since=moment(since, "--from"), until=moment(until, "--to"))
    jobs = [job for job in run(_own_jobs(config, query)) if pool in (None, job.pool)]
    if not jobs:
        message = "No job ended in that time."
        raise InvalidRequest(message, code="nothing_to_replay", param="--from")
    if not wanted.as_json:
        note(as_it_was(jobs, wanted.asked.target_wait_s))
    _compare(request_trace("own audit log", from_jobs(jobs)), wanted)


async def _own_jobs(config: str | None, query: AuditQuery) -> list[Job]:
    async with open_store(load_settings(config).settings, make=False) as store:
        return [job async for job in store.audit.jobs(query)]


def as_it_was(jobs: list[Job], target_wait_s: float) -> str:
    """What the jobs really waited, in a sentence."""
    waits = [job.started_at - job.accepted_at for job in jobs if job.started_at is not None] or [
        0.0
    ]
    late = sum(wait > target_wait_s for wait in waits) / len(waits)
    return (
        f"As it was: {len(jobs)} jobs waited p50 {percentile(waits, 0.5):.1f} s, "
        f"p99 {percentile(waits, 0.99):.1f} s; {late:.2%} longer than {target_wait_s:g} s."
    )


def _compare(trace: Trace, wanted: Wanted) -> None:
    found = compare(
        setting_of(trace, wanted.seed, wanted.asked),
        wanted.policies,
        wanted.bounds,
        model=profile(wanted.asked.engine).engine if wanted.product else None,
        optimum=wanted.optimum,
        warm=wanted.warm,
        told=(lambda _: None) if wanted.as_json else note,
    )
    for path, text in ((wanted.html, page), (wanted.svg, drawing)):
        if path is not None:
            _write(path, text(found))
    if wanted.as_json:
        show_json(found)
        return
    for line in summary(found):
        show_text(line)
    show_table(COLUMNS, rows(found))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise InvalidRequest(message, code="unwritable_file") from error
    note(f"{path} written.")
