"""`headpond batch …`: a gateway's batches, over HTTP."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, BinaryIO, TypeVar

import typer

from headpond.cli.bulk import progress
from headpond.cli.console import local_time, note, show_aside, show_json, show_table, show_text
from headpond.cli.options import JsonOption
from headpond.cli.remote import DEFAULT_URL, UrlOption, client_of
from headpond.client import Client, RemoteBatch
from headpond.domain.batch import BatchStatus
from headpond.errors import InvalidRequest, Unavailable
from headpond.processes.child import Exit
from headpond.processes.loop import run

T = TypeVar("T")

LOOK_EVERY_S = 1.0

app = typer.Typer(help="Many requests in one file.", no_args_is_help=True)

BatchArgument = Annotated[str, typer.Argument(help="The batch's id.", metavar="ID")]


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="A request a line, as OpenAI's batches have them.")],
    *,
    endpoint: Annotated[str, typer.Option(help="What each line asks.")] = "/v1/chat/completions",
    window: Annotated[str, typer.Option(help="How long it may take: 90m, 24h, 7d.")] = "24h",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the batch has ended.")] = False,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Upload a file and make a batch of it."""

    async def act(client: Client) -> RemoteBatch:
        batch = await client.create_batch(
            await _upload(client, file), endpoint=endpoint, window=window
        )
        if wait:
            note(batch.id)
            batch = await _ended(client, batch, quiet=as_json)
        return batch

    batch = _do(url, act)
    if wait or as_json:
        _show(batch, as_json=as_json)
    else:
        show_text(batch.id)


@app.command(name="list")
def list_batches(
    *,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """List the newest batches."""
    batches = _do(url, lambda client: client.batches(limit=limit))
    if as_json:
        show_json(batches)
        return
    rows = [
        (batch.id, batch.status, batch.model, _done(batch), local_time(batch.created_at))
        for batch in batches
    ]
    show_table(("id", "status", "model", "done", "created"), rows)


@app.command()
def show(
    batch_id: BatchArgument, *, url: UrlOption = DEFAULT_URL, as_json: JsonOption = False
) -> None:
    """Show a batch."""
    _show(_do(url, lambda client: client.batch(batch_id)), as_json=as_json)


@app.command()
def cancel(
    batch_id: BatchArgument, *, url: UrlOption = DEFAULT_URL, as_json: JsonOption = False
) -> None:
    """Cancel a batch; what is done is kept."""
    batch = _do(url, lambda client: client.cancel_batch(batch_id))
    if as_json:
        show_json(batch)
    else:
        _describe(batch)


@app.command()
def results(
    batch_id: BatchArgument,
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write.", show_default="standard output"),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Write a line about each request of a batch that has ended, as JSON."""
    del as_json  # it always is
    batch = _do(url, lambda client: client.batch(batch_id))
    if not batch.status.ended:
        message = f"The batch is {batch.status}; its results come with its end."
        raise Unavailable(message, code="batch_not_ended")
    if output is None:
        _do(url, lambda client: _write(client, batch, sys.stdout.buffer))
        return
    try:
        with output.open("wb") as file:
            _do(url, lambda client: _write(client, batch, file))
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}."
        raise InvalidRequest(message, code="unwritable_file") from error
    note(f"The results are in {output}.")


def _do(url: str, action: Callable[[Client], Awaitable[T]]) -> T:
    async def act() -> T:
        async with client_of(url) as client:
            return await action(client)

    return run(act())


async def _upload(client: Client, file: Path) -> str:
    try:
        return await client.upload(file)
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}."
        raise InvalidRequest(message, code="unreadable_file") from error


async def _ended(client: Client, batch: RemoteBatch, *, quiet: bool) -> RemoteBatch:
    async with progress(quiet=quiet) as bars:
        bar = bars.add_task("ended", total=None)
        while not batch.status.ended:
            await asyncio.sleep(LOOK_EVERY_S)
            batch = await client.batch(batch.id)
            counts = batch.request_counts
            done = counts.completed + counts.failed
            bars.update(bar, total=counts.total or None, completed=done)
    return batch


async def _write(client: Client, batch: RemoteBatch, file: BinaryIO) -> None:
    for file_id in (batch.output_file_id, batch.error_file_id):
        if file_id is not None:
            async for piece in client.content(file_id):
                file.write(piece)
    file.flush()


def _show(batch: RemoteBatch, *, as_json: bool) -> None:
    if as_json:
        show_json(batch)
    else:
        _describe(batch)
    worked = batch.status is BatchStatus.COMPLETED and not batch.request_counts.failed
    if batch.status.ended and not worked:
        raise typer.Exit(Exit.FAILED)


def _describe(batch: RemoteBatch) -> None:
    show_aside(f"{batch.id}  {batch.status}  {batch.model or ''}")
    show_text(_done(batch))
    for fault in batch.errors.data if batch.errors is not None else ():
        where = "" if fault.line is None else f"line {fault.line}: "
        show_text(f"{where}{fault.code}: {fault.message}")


def _done(batch: RemoteBatch) -> str:
    counts = batch.request_counts
    return f"{counts.completed} of {counts.total} completed, {counts.failed} failed"
