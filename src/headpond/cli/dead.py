"""`headpond dead …`: dead letters, directly from the store."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from headpond.cli.audit import moment
from headpond.cli.console import local_time, note, show_json, show_table, show_text
from headpond.cli.options import ConfigOption, JsonOption, load_settings
from headpond.domain.cause import CauseGroup, cause_of
from headpond.domain.job import Job, JobId
from headpond.errors import InvalidRequest
from headpond.gateway.dead_letters import DeadLetter, case_line
from headpond.ports.dead_letters import DeadQuery
from headpond.processes.loop import run
from headpond.services.dead_letters import Case, Selection, Tally, Triage
from headpond.wiring.stores import open_store
from headpond.wiring.triage import triage_of

app = typer.Typer(help="Look at dead letters and put them back.", no_args_is_help=True)

CauseOption = Annotated[
    str | None, typer.Option("--group", help="Only this group; the id from `dead group`.")
]
TeamOption = Annotated[str | None, typer.Option(help="Only this team.")]
ModelOption = Annotated[str | None, typer.Option(help="Only this model.")]
CodeOption = Annotated[str | None, typer.Option(help="Only with this error code.")]
SinceOption = Annotated[str | None, typer.Option(help="Died then or later; ISO 8601.")]
UntilOption = Annotated[str | None, typer.Option(help="Died before then.")]
IdArgument = Annotated[str | None, typer.Argument(help="Only this job.", metavar="[ID]")]
AllOption = Annotated[bool, typer.Option("--all", help="All of them, where nothing narrows it.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")]


@app.command(name="list")
def list_letters(
    *,
    group: CauseOption = None,
    team: TeamOption = None,
    model: ModelOption = None,
    code: CodeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, the oldest death first."""
    found = run(_list(config, _selection(group, team, model, code, since, until), limit))
    if as_json:
        show_json([DeadLetter(cause_of(job.error), job) for job in found])
        return
    columns = ("died", "id", "team", "model", "group", "code", "attempts", "redriven")
    show_table(columns, [_row(job) for job in found])


@app.command()
def show(
    job_id: Annotated[str, typer.Argument(help="The job's id.", metavar="ID")],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a dead letter: its request, how it died, and how it died before."""
    case = run(_show(config, JobId(job_id)))
    if as_json:
        show_json(case)
        return
    show_text(f"{case.id}  {case.model}  {case.team}  group {case.cause.id}")
    for death in case.deaths:
        show_text(f"{local_time(death.finished_at)}  {death.error and death.error.message}")
    show_text(f"{local_time(case.finished_at)}  {case.error and case.error.message}")
    if case.request is not None:
        show_text(bytes(case.request).decode())


@app.command(name="group")
def group_letters(
    *,
    team: TeamOption = None,
    model: ModelOption = None,
    code: CodeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Group dead letters by their cause, the largest group first."""
    groups = run(_groups(config, _selection(None, team, model, code, since, until)))
    if as_json:
        show_json(groups)
        return
    columns = ("group", "letters", "first", "last", "code", "reason", "for example")
    show_table(columns, [_group_row(one) for one in groups])


@app.command()
def redrive(
    job_id: IdArgument = None,
    *,
    group: CauseOption = None,
    team: TeamOption = None,
    model: ModelOption = None,
    code: CodeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    every: AllOption = False,
    per_second: Annotated[
        float | None,
        typer.Option(min=0.001, help="Pace.", show_default="dead_letters.redrive_per_s"),
    ] = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put dead letters back into their lanes, with all their attempts again."""
    selection = _chosen(_selection(group, team, model, code, since, until, job_id), every=every)
    tally = run(_redrive(config, selection, per_second, dry_run=dry_run))
    _show_tally(tally, "redriven", as_json=as_json)


@app.command()
def discard(
    job_id: IdArgument = None,
    *,
    group: CauseOption = None,
    team: TeamOption = None,
    model: ModelOption = None,
    code: CodeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give dead letters up: they end as failed."""
    selection = _chosen(_selection(group, team, model, code, since, until, job_id), every=every)
    _show_tally(run(_discard(config, selection, dry_run=dry_run)), "discarded", as_json=as_json)


@app.command()
def export(
    *,
    output: Annotated[
        Path | None, typer.Option(help="The file to write.", show_default="standard output")
    ] = None,
    group: CauseOption = None,
    team: TeamOption = None,
    model: ModelOption = None,
    code: CodeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write dead letters as evaluation cases, a JSON object a line."""
    del as_json  # it always is
    selection = _selection(group, team, model, code, since, until)
    if output is None:
        run(_export(config, selection, sys.stdout.buffer))
        return
    try:
        with output.open("wb") as file:
            count = run(_export(config, selection, file))
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}."
        raise InvalidRequest(message, code="unwritable_file") from error
    note(f"{count} cases written to {output}.")


def _selection(  # noqa: PLR0917 - the options, in their order
    cause: str | None,
    team: str | None,
    model: str | None,
    code: str | None,
    since: str | None,
    until: str | None,
    job_id: str | None = None,
) -> Selection:
    return Selection(
        id=None if job_id is None else JobId(job_id),
        cause=cause,
        query=DeadQuery(
            team=team,
            model=model,
            code=code,
            since=moment(since, "--since"),
            until=moment(until, "--until"),
        ),
    )


def _chosen(selection: Selection, *, every: bool) -> Selection:
    if selection == Selection() and not every:
        message = "Say which dead letters are meant, by an id or options, or --all."
        raise InvalidRequest(message, code="missing_required_parameter", param="--all")
    return selection


def _show_tally(tally: Tally, done: str, *, as_json: bool) -> None:
    if as_json:
        show_json(tally)
        return
    would = "would be " if tally.dry_run else ""
    parts = [f"{tally.done} of {tally.selected} {would}{done}"]
    parts += [f"{tally.capped} redriven too often already"] if tally.capped else []
    parts += [f"{tally.overdue} past their deadline"] if tally.overdue else []
    parts += [f"{tally.batch_ended} of batches that have ended"] if tally.batch_ended else []
    parts += [f"{tally.missed} changed by somebody else"] if tally.missed else []
    show_text(", ".join(parts) + ".")


def _row(job: Job) -> tuple[object, ...]:
    cause = cause_of(job.error)
    return (
        local_time(job.finished_at),
        job.id,
        job.team,
        job.model,
        cause.id,
        cause.code,
        job.attempts,
        len(job.deaths),
    )


def _group_row(group: CauseGroup) -> tuple[object, ...]:
    return (
        group.cause.id,
        group.count,
        local_time(group.first_at),
        local_time(group.last_at),
        group.cause.code,
        group.cause.pattern,
        group.sample,
    )


async def _list(config: str | None, selection: Selection, limit: int) -> list[Job]:
    found: list[Job] = []
    async with _triage(config) as triage:
        async for job in triage.letters(selection):
            found.append(job)
            if len(found) == limit:
                break
    return found


async def _show(config: str | None, job_id: JobId) -> Case:
    async with _triage(config) as triage:
        return await triage.case(job_id)


async def _groups(config: str | None, selection: Selection) -> list[CauseGroup]:
    async with _triage(config) as triage:
        return await triage.groups(selection)


async def _redrive(
    config: str | None, selection: Selection, per_second: float | None, *, dry_run: bool
) -> Tally:
    async with _triage(config) as triage:
        return await triage.redrive(selection, per_second=per_second, dry_run=dry_run)


async def _discard(config: str | None, selection: Selection, *, dry_run: bool) -> Tally:
    async with _triage(config) as triage:
        return await triage.discard(selection, dry_run=dry_run)


async def _export(config: str | None, selection: Selection, file: BinaryIO) -> int:
    count = 0
    async with _triage(config) as triage:
        async for case in triage.cases(selection):
            file.write(case_line(case))
            count += 1
    return count


@asynccontextmanager
async def _triage(config: str | None) -> AsyncGenerator[Triage]:
    settings = load_settings(config).settings
    async with open_store(settings, make=False) as store:
        yield triage_of(settings, store)
