"""`headpond keys …`: directly on the store, so that the first key needs no gateway."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from headpond.cli.console import local_time, show_aside, show_json, show_table, show_text
from headpond.cli.options import ConfigOption, JsonOption, load_settings
from headpond.configuration.masking import masked
from headpond.domain.identity import ApiKey, KeyId, Limits, Role
from headpond.processes.loop import run
from headpond.services.keys import Keys, NewKey
from headpond.settings import Settings
from headpond.wiring.stores import open_store

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)

FIRST = """\
It is the first key, so from now on every request needs one. What was handed in without goes on and
stays with the team `local`: `headpond keys create --team local` makes a key that sees it."""


@app.command()
def create(
    *,
    team: Annotated[str, typer.Option(help="Whose jobs the key's jobs are.")],
    feature: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    role: Annotated[
        Role, typer.Option(help="An operator may see and redrive every team's dead letters.")
    ] = Role.TEAM,
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. The secret is shown this once; with the first key, everybody needs one."""
    limits = Limits(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute)
    made = _create(config, team, feature, None if limits == Limits() else limits, role)
    new, first = run(made)
    if as_json:
        shown = {"id": new.key.id, "secret": new.secret, "team": team, "feature": feature}
        show_json(shown | {"role": role})
    else:
        show_text(f"{new.secret}\n")
        opened = gateways_on(load_settings(config).settings)
        show_aside("Keep it: it is stored as a hash and cannot be shown again.")
        show_aside(f"Its id is {new.key.id}; it opens {opened}.")
        if first:
            show_aside(FIRST)


@app.command(name="list")
def list_keys(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the keys, revoked ones too."""
    keys = run(_all(config))
    if as_json:
        show_json([_without_digest(key) for key in keys])
        return
    rows = [
        (
            key.id,
            f"{key.hint}…",
            key.team,
            key.feature,
            key.role,
            local_time(key.created_at),
            local_time(key.revoked_at),
        )
        for key in keys
    ]
    show_table(("id", "secret", "team", "feature", "role", "created", "revoked"), rows)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id from `headpond keys list`.")],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key; a gateway that runs notices within a second."""
    run(_revoke(config, KeyId(key_id)))
    if as_json:
        show_json({"id": key_id, "revoked": True})
    else:
        show_text(f"{key_id} is revoked.")


def gateways_on(settings: Settings) -> str:
    """Which gateways a key of this store opens."""
    scheme, _, file = settings.store.partition(":///")
    if scheme == "sqlite" and not Path(file).is_absolute():
        return f"gateways whose home is {settings.home}"
    return f"every gateway on the store {masked(settings.store)}"


async def _create(
    config: str | None, team: str, feature: str | None, limits: Limits | None, role: Role
) -> tuple[NewKey, bool]:
    """The key, and whether it is the first one."""
    async with _keys(config, make=True) as keys:
        new = await keys.create(team, feature, limits, role)
        return new, len(await keys.all()) == 1


async def _all(config: str | None) -> list[ApiKey]:
    async with _keys(config) as keys:
        return await keys.all()


async def _revoke(config: str | None, key_id: KeyId) -> None:
    async with _keys(config) as keys:
        await keys.revoke(key_id)


@asynccontextmanager
async def _keys(config: str | None, *, make: bool = False) -> AsyncGenerator[Keys]:
    async with open_store(load_settings(config).settings, make=make) as store:
        yield Keys(store.keys, store.clock)


def _without_digest(key: ApiKey) -> dict[str, object]:
    fields = msgspec.structs.asdict(key)
    del fields["digest"]
    return fields
