"""`headpond webhooks …`: directly on the store, like keys."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import typer

from headpond.cli.console import local_time, show_aside, show_json, show_table, show_text
from headpond.cli.options import ConfigOption, JsonOption, load_settings
from headpond.domain.dispatch import Dispatch, DispatchState
from headpond.domain.webhook_endpoint import Endpoint
from headpond.domain.webhook_event import EventType
from headpond.gateway.webhook_schema import (
    delivery_view,
    endpoint_view,
    endpoint_with_secret,
    public_id,
)
from headpond.processes.child import Exit
from headpond.processes.loop import run
from headpond.services.webhooks import OVERLAP_S, Webhooks
from headpond.wiring.stores import open_store
from headpond.wiring.webhooks import open_webhooks

T = TypeVar("T")

app = typer.Typer(help="Where a team's events are sent.", no_args_is_help=True)

TeamOption = Annotated[str, typer.Option("--team", help="Whose endpoint it is.")]
EndpointArgument = Annotated[
    str, typer.Argument(metavar="ENDPOINT", help="Its id, or `callbacks`.")
]
EventOption = Annotated[
    list[EventType] | None, typer.Option("--event", help="Only events of this type; repeatable.")
]


@app.command()
def create(
    url: Annotated[str, typer.Argument(help="Where to send events.")],
    *,
    team: TeamOption,
    event: EventOption = None,
    name: Annotated[str, typer.Option(help="For people.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an endpoint. The secret is shown this once."""
    types = event or list(EventType)
    made = _do(
        config,
        lambda hooks: hooks.create(team, url=url, event_types=types, name=name),
        make=True,
    )
    _show_secret(made, as_json=as_json)


@app.command(name="list")
def list_endpoints(
    *, team: TeamOption, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the team's endpoints."""
    endpoints = _do(config, lambda hooks: hooks.all(team))
    if as_json:
        show_json([endpoint_view(endpoint) for endpoint in endpoints])
        return
    rows = [
        (
            endpoint.id,
            endpoint.name,
            endpoint.url,
            " ".join(endpoint.event_types),
            endpoint.disabled_reason or local_time(endpoint.failing_since),
        )
        for endpoint in endpoints
    ]
    show_table(("id", "name", "url", "events", "disabled, or failing since"), rows)


@app.command()
def update(
    endpoint: EndpointArgument,
    *,
    team: TeamOption,
    url: Annotated[str | None, typer.Option(help="A new URL.")] = None,
    event: EventOption = None,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change an endpoint; with or without a change, it is enabled again."""
    changed = _do(
        config,
        lambda hooks: hooks.update(team, endpoint, url=url, event_types=event or None, name=name),
    )
    if as_json:
        show_json(endpoint_view(changed))
    else:
        show_text(f"{changed.id} is enabled.")


@app.command()
def rotate(
    endpoint: EndpointArgument,
    *,
    team: TeamOption,
    now: Annotated[
        bool, typer.Option("--now", help="The old secret signs nothing more: others know it.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an endpoint a new secret, shown this once. The old one signs too, for 24 hours."""
    overlap_s = 0.0 if now else OVERLAP_S
    rotated = _do(
        config, lambda hooks: hooks.rotate(team, endpoint, overlap_s=overlap_s), make=True
    )
    _show_secret(rotated, as_json=as_json)


@app.command()
def delete(
    endpoint: EndpointArgument,
    *,
    team: TeamOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete an endpoint, with what was on its way to it."""
    _do(config, lambda hooks: hooks.remove(team, endpoint))
    if as_json:
        show_json({"id": endpoint, "deleted": True})
    else:
        show_text(f"{endpoint} is deleted.")


@app.command()
def deliveries(
    endpoint: EndpointArgument,
    *,
    team: TeamOption,
    state: Annotated[DispatchState | None, typer.Option(help="Only those.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest deliveries to an endpoint."""
    found = _do(config, lambda hooks: hooks.deliveries(team, endpoint, state=state, limit=limit))
    if as_json:
        show_json([delivery_view(dispatch) for dispatch in found])
        return
    columns = ("id", "type", "status", "attempts", "last", "next", "error")
    show_table(columns, [_row(dispatch) for dispatch in found])


@app.command()
def redeliver(
    endpoint: EndpointArgument,
    event_id: Annotated[
        str | None, typer.Argument(metavar="EVENT", help="Its id; all that were given up if none.")
    ] = None,
    *,
    team: TeamOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send an event again, or all that were given up."""
    count = _do(config, lambda hooks: hooks.redeliver(team, endpoint, event_id))
    if as_json:
        show_json({"count": count})
    else:
        show_text(f"{count} pending again.")


@app.command(name="test")
def send_sample(
    endpoint: EndpointArgument,
    *,
    team: TeamOption,
    event: Annotated[EventType, typer.Option(help="Its type.")] = EventType.JOB_SUCCEEDED,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a sample event from here, now, and show what came back. Status 1 if it is not 2xx."""
    status = _do(config, lambda hooks: hooks.test(team, endpoint, event))
    if as_json:
        show_json({"status_code": status})
    else:
        show_text(f"It answered {status}.")
    if not 200 <= status < 300:  # noqa: PLR2004 - success
        raise typer.Exit(Exit.FAILED)


def _do(config: str | None, action: Callable[[Webhooks], Awaitable[T]], *, make: bool = False) -> T:
    async def act() -> T:
        async with _webhooks(config, make=make) as webhooks:
            return await action(webhooks)

    return run(act())


@asynccontextmanager
async def _webhooks(config: str | None, *, make: bool) -> AsyncGenerator[Webhooks]:
    settings = load_settings(config).settings
    async with (
        open_store(settings, make=make) as store,
        open_webhooks(settings, store) as telling,
    ):
        yield telling.webhooks


def _show_secret(endpoint: Endpoint, *, as_json: bool) -> None:
    if as_json:
        show_json(endpoint_with_secret(endpoint))
        return
    show_text(endpoint.signers[0].secret)
    show_aside("Keep it: it is not shown again. Receivers verify signatures with it.")
    show_aside(f"The endpoint's id is {public_id(endpoint)}.")


def _row(dispatch: Dispatch) -> tuple[object, ...]:
    return (
        dispatch.event.id,
        dispatch.event.type,
        dispatch.state,
        dispatch.attempts,
        local_time(dispatch.attempted_at),
        local_time(dispatch.due_at),
        dispatch.error,
    )
