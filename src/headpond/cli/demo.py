"""`headpond demo`: the product on real input, from nothing."""

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from headpond.cli.bulk import ended_all, progress, submit_all
from headpond.cli.console import note, show_json, show_text
from headpond.cli.options import JsonOption
from headpond.client import Client, RemoteJob
from headpond.configuration import load
from headpond.configuration.environment import CONFIG, PREFIX
from headpond.demo.files import held_out_file
from headpond.demo.report import Report, Result, Share, report
from headpond.demo.titles import Title, job_for, read_titles
from headpond.domain.job import Usage
from headpond.errors import Unavailable
from headpond.processes.child import Exit
from headpond.processes.loop import run
from headpond.processes.stopping import Stopping
from headpond.processes.supervisor import Plan, Supervisor

LONGEST_S = 600.0
"""A demo that takes longer has something wrong with it."""


def demo(
    *,
    titles: Annotated[int, typer.Option(min=1, max=2000, help="How many product titles.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Categorise held-out product titles with the example model, and measure it."""
    with tempfile.TemporaryDirectory(prefix="headpond-demo-") as home:
        measured = run(_demo(home, titles, as_json=as_json))
    if as_json:
        show_json(measured)
    else:
        show_report(measured)
    raise typer.Exit(Exit.DONE if measured.good else Exit.FAILED)


async def _demo(home: str, count: int, *, as_json: bool) -> Report:
    titles = read_titles(held_out_file(), count)
    environ = _environ(home)
    stopping = Stopping()
    stopping.listen()
    supervisor = Supervisor(load(environ).settings, environ, Plan())
    async with supervisor.running(stopping) as refused:
        measuring = asyncio.create_task(_measure(supervisor, titles, as_json=as_json))
        asked = asyncio.create_task(stopping.asked.wait())
        ends = {measuring, refused, asked}
        await asyncio.wait(ends, timeout=LONGEST_S, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not measuring.done():
            measuring.cancel()
            await asyncio.wait({measuring})
            stopping.urged.set()
            if stopping.asked.is_set():
                raise KeyboardInterrupt
            message = "The demo's own processes do not work; what they said stands above."
            raise Unavailable(message, code="demo_broken")
        return await measuring


def _environ(home: str) -> dict[str, str]:
    """The demo is the same everywhere: neither a file nor variables of the user's reach it."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {
        **others,
        CONFIG: os.devnull,
        "HEADPOND_HOME": home,
        "HEADPOND_GATEWAY__PORT": "0",
        "HEADPOND_LOG__LEVEL": "error",
    }


async def _measure(supervisor: Supervisor, titles: Sequence[Title], *, as_json: bool) -> Report:
    if not as_json:
        note("Starting a gateway, a worker and its engine …")
    await supervisor.ready()
    async with Client(supervisor.url) as client:
        # The clock starts once the engine has answered one title that does not count.
        await client.ended(await client.submit(job_for(titles[0])))
        async with progress(quiet=as_json) as bars:
            submitted = bars.add_task("submitted", total=len(titles))
            answered = bars.add_task("answered", total=len(titles))
            began = time.perf_counter()
            ids = await submit_all(
                client,
                [job_for(title) for title in titles],
                keys="title",
                told=lambda _: bars.advance(submitted),
            )
            ended = await ended_all(client, ids, told=lambda: bars.advance(answered))
            seconds = time.perf_counter() - began
    return report(titles, [_result(job) for job in ended], seconds)


def _result(job: RemoteJob) -> Result:
    started_at, finished_at = job.started_at or job.accepted_at, job.finished_at or job.accepted_at
    usage = job.usage or Usage()
    return Result(
        status=job.status,
        text=job.text,
        confidence=job.confidence,
        waited_s=started_at - job.accepted_at,
        served_s=finished_at - started_at,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


def show_report(measured: Report) -> None:
    """The report for people."""
    speed = f"{measured.jobs_per_s:.0f} jobs/s, {measured.tokens_per_s:,.0f} tokens/s"
    lines = [
        ("jobs", f"{measured.succeeded} of {measured.titles} succeeded"),
        ("accuracy", _share(measured.accuracy)),
        ("confidence ≥ 0.92", _share(measured.confident)),
        ("throughput", f"{speed} ({measured.seconds:.1f} s)"),
        ("wait", f"p50 {measured.wait.p50_s:.3f} s, p99 {measured.wait.p99_s:.3f} s"),
        ("service", f"p50 {measured.service.p50_s:.3f} s, p99 {measured.service.p99_s:.3f} s"),
        ("tokens", f"{measured.prompt_tokens:,} in, {measured.completion_tokens:,} out"),
    ]
    lines += [
        (
            f"at {price.model}",
            f"${price.usd:.4f}, as a batch ${price.batch_usd:.4f} (price seen {price.seen})",
        )
        for price in measured.api_costs
    ]
    for name, value in lines:
        show_text(f"{name:>18}  {value}")


def _share(share: Share) -> str:
    return (
        f"{share.share:.2%} [{share.low:.2%}, {share.high:.2%}] "
        f"({share.right} of {share.total} right)"
    )
