"""`headpond submit`, `get`, `jobs` and `cancel`: a gateway's jobs, over HTTP."""

import asyncio
import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer

from headpond.cli.bulk import (
    ended_all,
    ended_patiently,
    progress,
    submit_each,
    submit_patiently,
)
from headpond.cli.console import (
    complain,
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
from headpond.cli.resuming import Run, halfway
from headpond.client import Client, JobBody, RemoteJob
from headpond.domain.job import JobState
from headpond.domain.lane import Priority
from headpond.errors import HeadpondError, InvalidRequest, RequestError
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
    once: Annotated[
        bool, typer.Option("--once", help="Lines handed in with --once before are the same jobs.")
    ] = False,
    resume: Annotated[
        str | None, typer.Option(help="Go on with a file that was left off.", metavar="RUN")
    ] = None,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Submit a prompt, or many from a file."""
    common = {"model": model, "max_tokens": max_tokens, "priority": priority.value}
    common = {name: value for name, value in common.items() if value is not None}
    match prompt, file:
        case str(), None if resume is not None:
            message = "--resume goes on with a --file; a prompt is one job."
            raise InvalidRequest(message, code="invalid_value", param="--resume")
        case str(), None:
            text = sys.stdin.read() if prompt == "-" else prompt
            run(_submit_one(url, {**common, **asking(text, system)}, wait=wait, as_json=as_json))
        case None, Path():
            lines = {number: {**common, **body} for number, body in bodies_in(file, system)}
            handed_in = Run.of(file, lines, once=once, resume=resume)
            run(_submit_many(url, file, lines, handed_in, wait=wait, as_json=as_json))
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
    if len(listed) == limit:
        note(f"The newest {limit}; there may be more: --limit, --state.")
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


def bodies_in(file: Path, system: str | None) -> list[tuple[int, JobBody]]:
    """A file's jobs with their lines' numbers. Raises InvalidRequest with the line at fault."""
    try:
        lines = file.read_text().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file} cannot be read: {error}."
        raise InvalidRequest(message, code="unreadable_file") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    match file.suffix:
        case ".txt":
            return [(number, asking(line, system)) for number, line in numbered]
        case ".jsonl":
            return [
                (number, _body(f"{file}, line {number}", line, system)) for number, line in numbered
            ]
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
    except (msgspec.DecodeError, RecursionError) as error:
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


async def _submit_many(
    url: str,
    file: Path,
    lines: Mapping[int, JobBody],
    handed_in: Run,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    begun: set[int] = set()
    answers: dict[int, str | RequestError] = {}
    ended: list[RemoteJob] = []
    async with client_of(url) as client:
        try:
            try:
                await _submit_lines(client, lines, handed_in, begun, answers, quiet=as_json)
            finally:
                _tell(file, answers, wait=wait, as_json=as_json)
            if wait:
                ended = await _ends(client, answers, as_json=as_json)
        except (HeadpondError, asyncio.CancelledError) as error:
            if answers or not isinstance(error, RequestError):
                note(halfway(file, list(lines), begun, answers, handed_in.again))
            raise
    if any(isinstance(answer, RequestError) for answer in answers.values()):
        raise typer.Exit(Exit.REFUSED)
    if any(job.status is not JobState.SUCCEEDED for job in ended):
        raise typer.Exit(Exit.FAILED)


async def _submit_lines(
    client: Client,
    lines: Mapping[int, JobBody],
    handed_in: Run,
    begun: set[int],
    answers: dict[int, str | RequestError],
    *,
    quiet: bool,
) -> None:
    """Puts into `begun` and `answers` what became of each line, even where this raises."""
    numbers = list(lines)

    def began(place: int) -> None:
        begun.add(numbers[place])

    def told(place: int, answer: str | RequestError) -> None:
        answers[numbers[place]] = answer
        bars.advance(submitted)

    async with progress(quiet=quiet) as bars:
        submitted = bars.add_task("submitted", total=len(lines))
        bodies = list(lines.values())
        await submit_each(client, bodies, keys=handed_in.keys, began=began, told=told)


async def _ends(
    client: Client, answers: Mapping[int, str | RequestError], *, as_json: bool
) -> list[RemoteJob]:
    """Waits for what has become a job, and shows it."""
    ids = [answer for _, answer in sorted(answers.items()) if isinstance(answer, str)]
    async with progress(quiet=as_json) as bars:
        done = bars.add_task("ended", total=len(ids))
        ended = await ended_all(client, ids, told=lambda: bars.advance(done))
    _show_ended(answers, ended, as_json=as_json)
    return ended


def _tell(
    file: Path, answers: Mapping[int, str | RequestError], *, wait: bool, as_json: bool
) -> None:
    """The ids; on standard error where the ends of the jobs are the output. Then the refusals."""
    refusals: dict[int, RequestError] = {}
    for number, answer in sorted(answers.items()):
        if isinstance(answer, RequestError):
            refusals[number] = answer
        if as_json and not wait:
            show_line(_answered(number, answer))
        elif isinstance(answer, str):
            (note if wait else show_text)(answer)
    for number, error in refusals.items():
        complain(f"{file}, line {number}: {error}")


def _answered(number: int, answer: str | RequestError) -> dict[str, object]:
    if isinstance(answer, str):
        return {"line": number, "job_id": answer}
    error = {"code": answer.code, "message": answer.message, "param": answer.param}
    return {"line": number, "error": error}


def _show_ended(
    answers: Mapping[int, str | RequestError], ended: Iterable[RemoteJob], *, as_json: bool
) -> None:
    jobs = {job.job_id: job for job in ended}
    rows: list[tuple[object, ...]] = []
    for number, answer in sorted(answers.items()):
        job = jobs[answer] if isinstance(answer, str) else None
        if as_json:
            told = _answered(number, answer)
            show_line(told if job is None else told | msgspec.to_builtins(job))
        elif job is not None:
            said = job.error.message if job.error else job.text
            rows.append((number, job.job_id, job.status, said))
    if not as_json:
        show_table(("line", "id", "state", "answer"), rows)


async def _get(url: str, job_id: str, *, wait: bool) -> RemoteJob:
    async with client_of(url) as client:
        return await (ended_patiently(client, job_id) if wait else client.job(job_id))


async def _jobs(url: str, state: JobState | None, limit: int) -> list[RemoteJob]:
    async with client_of(url) as client:
        return await client.jobs(state=state, limit=limit)


async def _cancel(url: str, job_id: str) -> RemoteJob:
    async with client_of(url) as client:
        return await client.cancel(job_id)
