"""`headpond submit`, `get`, `jobs` and `cancel`: a gateway's jobs, over HTTP."""

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer

from headpond.cli.bulk import (
    ended_all,
    ended_patiently,
    progress,
    submit_all,
    submit_patiently,
)
from headpond.cli.console import (
    local_time,
    note,
    show_aside,
    show_json,
    show_line,
    show_table,
    show_text,
)
from headpond.cli.options import JsonOption
from headpond.cli.remote import DEFAULT_URL, UrlOption, client_of
from headpond.client import Client, JobBody, RemoteJob
from headpond.domain.job import JobState
from headpond.domain.lane import Priority
from headpond.errors import HeadpondError, InvalidRequest
from headpond.processes.child import Exit
from headpond.processes.loop import run

WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until the job has ended.")]
JobIdArgument = Annotated[str, typer.Argument(help="The job's id.", metavar="ID")]


def submit(
    prompt: Annotated[
        str | None, typer.Argument(help="The prompt; - reads it from standard input.")
    ] = None,
    *,
    file: Annotated[
        Path | None,
        typer.Option(help="Many: a .txt with a prompt a line, or a .jsonl with a job a line."),
    ] = None,
    system: Annotated[str | None, typer.Option(help="A system message before the prompt.")] = None,
    model: Annotated[str | None, typer.Option(show_default="the gateway's")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer.")] = None,
    priority: Annotated[Priority, typer.Option(help="Which lane.")] = Priority.BATCH,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Submit a prompt, or many from a file."""
    common = {"model": model, "max_tokens": max_tokens, "priority": priority.value}
    common = {name: value for name, value in common.items() if value is not None}
    match prompt, file:
        case str(), None:
            text = sys.stdin.read() if prompt == "-" else prompt
            run(_submit_one(url, {**common, **asking(text, system)}, wait=wait, as_json=as_json))
        case None, Path():
            bodies = [{**common, **body} for body in bodies_in(file, system)]
            run(_submit_many(url, bodies, wait=wait, as_json=as_json))
        case _:
            message = "Give either a prompt or --file."
            raise InvalidRequest(message, code="missing_prompt")


def get(
    job_id: JobIdArgument,
    *,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Show a job and its result."""
    show_job(run(_get(url, job_id, wait=wait)), as_json=as_json)


def jobs(
    *,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """List the newest jobs."""
    listed = run(_jobs(url, state, limit))
    if as_json:
        show_json(listed)
        return
    rows = [
        (job.job_id, job.status, job.model, job.priority, job.attempts, local_time(job.accepted_at))
        for job in listed
    ]
    show_table(("id", "state", "model", "priority", "attempts", "accepted"), rows)


def cancel(
    job_id: JobIdArgument, *, url: UrlOption = DEFAULT_URL, as_json: JsonOption = False
) -> None:
    """Cancel a job that has not ended."""
    job = run(_cancel(url, job_id))
    if as_json:
        show_json(job)
    else:
        _describe(job)


def asking(text: str, system: str | None) -> JobBody:
    """The part of a job's body that holds the prompt."""
    if system is None:
        return {"prompt": text}
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    return {"messages": messages}


def bodies_in(file: Path, system: str | None) -> list[JobBody]:
    """The jobs in a file. Raises InvalidRequest with the line at fault."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file} cannot be read: {error}."
        raise InvalidRequest(message, code="unreadable_file") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    match file.suffix:
        case ".txt":
            return [asking(line, system) for _, line in numbered]
        case ".jsonl":
            return [_body(f"{file}, line {number}", line, system) for number, line in numbered]
        case _:
            message = f"{file}: name it .txt for a prompt a line, or .jsonl for a job a line."
            raise InvalidRequest(message, code="unknown_file_type")


def show_job(job: RemoteJob, *, as_json: bool) -> None:
    """A job for people; a job that ended badly makes the command fail."""
    if as_json:
        show_json(job)
    else:
        _describe(job)
    if job.status.terminal and job.status is not JobState.SUCCEEDED:
        raise typer.Exit(Exit.FAILED)


def _describe(job: RemoteJob) -> None:
    show_aside(f"{job.job_id}  {job.status}  {job.model}")
    if job.error is not None:
        show_text(f"{job.error.code}: {job.error.message}")
    if job.text is not None:
        show_text(job.text)


def _body(where: str, line: str, system: str | None) -> JobBody:
    """A line of a .jsonl file: an object as POST /jobs takes it, or a string, the prompt."""
    try:
        value: Any = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        message = f"{where}: this is not JSON: {error}."
        raise InvalidRequest(message, code="invalid_json") from error
    if isinstance(value, str):
        return asking(value, system)
    if not isinstance(value, dict):
        message = f"{where}: an object or a string is expected."
        raise InvalidRequest(message, code="invalid_value")
    body = cast("dict[str, object]", value)
    prompt = body.get("prompt")
    if system is not None and isinstance(prompt, str):
        del body["prompt"]
        return {**body, **asking(prompt, system)}
    return body


async def _submit_one(url: str, body: JobBody, *, wait: bool, as_json: bool) -> None:
    async with client_of(url) as client:
        job_id = await submit_patiently(client, body, secrets.token_hex(16))
        if wait:
            show_job(await _ended(client, job_id), as_json=as_json)
        elif as_json:
            show_json({"job_id": job_id})
        else:
            show_text(job_id)


async def _ended(client: Client, job_id: str) -> RemoteJob:
    try:
        return await ended_patiently(client, job_id)
    except HeadpondError:
        note(job_id)  # all that is left of the job
        raise


async def _submit_many(url: str, bodies: Sequence[JobBody], *, wait: bool, as_json: bool) -> None:
    async with client_of(url) as client:
        ids = await _submit_and_tell(client, bodies, wait=wait, as_json=as_json)
        if not wait:
            return
        async with progress(quiet=as_json) as bars:
            done = bars.add_task("ended", total=len(ids))
            ended = await ended_all(client, ids, told=lambda: bars.advance(done))
    _show_ended(ended, as_json=as_json)


async def _submit_and_tell(
    client: Client, bodies: Sequence[JobBody], *, wait: bool, as_json: bool
) -> list[str]:
    """The ids, told whatever happens; on standard error where the answers are the output."""
    ids: list[str] = []

    def accepted(job_id: str) -> None:
        ids.append(job_id)
        bars.advance(submitted)

    try:
        async with progress(quiet=as_json) as bars:
            submitted = bars.add_task("submitted", total=len(bodies))
            ids = await submit_all(client, bodies, keys=secrets.token_hex(16), told=accepted)
    finally:
        for job_id in ids:
            if wait:
                note(job_id)
            elif as_json:
                show_line({"job_id": job_id})
            else:
                show_text(job_id)
    return ids


def _show_ended(ended: Sequence[RemoteJob], *, as_json: bool) -> None:
    if as_json:
        for job in ended:
            show_line(job)
    else:
        rows = [
            (job.job_id, job.status, job.error.message if job.error else job.text) for job in ended
        ]
        show_table(("id", "state", "answer"), rows)
    if any(job.status is not JobState.SUCCEEDED for job in ended):
        raise typer.Exit(Exit.FAILED)


async def _get(url: str, job_id: str, *, wait: bool) -> RemoteJob:
    async with client_of(url) as client:
        return await (ended_patiently(client, job_id) if wait else client.job(job_id))


async def _jobs(url: str, state: JobState | None, limit: int) -> list[RemoteJob]:
    async with client_of(url) as client:
        return await client.jobs(state=state, limit=limit)


async def _cancel(url: str, job_id: str) -> RemoteJob:
    async with client_of(url) as client:
        return await client.cancel(job_id)
