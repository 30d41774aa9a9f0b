"""`headpond audit …`: what every team asked and got, directly from the store."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, TextIO

import msgspec
import typer
from msgspec import Raw

from headpond.cli.console import local_time, note, show_json, show_table
from headpond.cli.options import ConfigOption, JsonOption, load_settings
from headpond.domain.job import Job
from headpond.errors import InvalidRequest
from headpond.ports.audit import AuditQuery
from headpond.processes.loop import run
from headpond.wiring.stores import open_store

app = typer.Typer(help="List and export the audit log.", no_args_is_help=True)

TeamOption = Annotated[str | None, typer.Option(help="Only this team.")]
ModelOption = Annotated[str | None, typer.Option(help="Only this model.")]
SinceOption = Annotated[
    str | None, typer.Option(help="Ended then or later; ISO 8601, such as 2030-01-31T08:00.")
]
UntilOption = Annotated[str | None, typer.Option(help="Ended before then.")]


class AuditLine(msgspec.Struct, frozen=True):
    """One line of an export."""

    job: Job
    request: Raw | None
    response: Raw | None


@app.command(name="list")
def list_entries(
    *,
    team: TeamOption = None,
    model: ModelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs that ended, in the order in which they did."""
    found = run(_listed(config, _query(team, model, since, until, limit + 1)))
    if len(found) > limit:
        note(f"The oldest {limit}; there are more: --limit, --since.")
        del found[limit:]
    if as_json:
        show_json(found)
        return
    columns = (
        "ended",
        "id",
        "team",
        "feature",
        "model",
        "version",
        "state",
        "tokens in",
        "out",
        "attempts",
    )
    show_table(columns, [_row(job) for job in found])


@app.command()
def export(
    *,
    output: Annotated[
        Path | None, typer.Option(help="The file to write.", show_default="standard output")
    ] = None,
    team: TeamOption = None,
    model: ModelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int | None, typer.Option(min=1, show_default="all")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write entries with requests and responses as JSON, one a line."""
    del as_json  # it always is
    query = _query(team, model, since, until, limit)
    if output is None:
        run(_export(config, query, sys.stdout))
        return
    try:
        with output.open("w") as file:
            count = run(_export(config, query, file))
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}."
        raise InvalidRequest(message, code="unwritable_file") from error
    note(f"{count} entries written to {output}.")


def _row(job: Job) -> tuple[object, ...]:
    usage = job.usage
    return (
        local_time(job.finished_at),
        job.id,
        job.team,
        job.feature,
        job.model,
        job.model_version,
        job.state,
        None if usage is None else usage.prompt_tokens,
        None if usage is None else usage.completion_tokens,
        job.attempts,
    )


def _query(
    team: str | None, model: str | None, since: str | None, until: str | None, limit: int | None
) -> AuditQuery:
    return AuditQuery(
        team=team,
        model=model,
        since=moment(since, "--since"),
        until=moment(until, "--until"),
        limit=limit,
    )


def moment(text: str | None, option: str) -> float | None:
    """Unix seconds; a time without an offset is this machine's."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        message = f"{option} takes a time in ISO 8601, such as 2030-01-31T08:00, not {text!r}."
        raise InvalidRequest(message, code="invalid_value", param=option) from error


async def _listed(config: str | None, query: AuditQuery) -> list[Job]:
    async with open_store(load_settings(config).settings, make=False) as store:
        return [job async for job in store.audit.jobs(query)]


async def _export(config: str | None, query: AuditQuery, file: TextIO) -> int:
    count = 0
    async with open_store(load_settings(config).settings, make=False) as store:
        async for entry in store.audit.read(query):
            line = AuditLine(
                entry.job,
                Raw(entry.request) if entry.request else None,
                None if entry.response is None else Raw(entry.response),
            )
            file.write(msgspec.json.encode(line).decode().replace("\n", "") + "\n")
            count += 1
    return count
