"""`headpond worker`."""

from typing import Annotated

import typer

from headpond.cli.options import ConfigOption, SupervisedOption, load_settings
from headpond.errors import SettingsError
from headpond.processes.loop import run
from headpond.processes.stopping import Stopping
from headpond.processes.worker import run_worker
from headpond.settings import Settings


def worker(
    *,
    pool: Annotated[
        str | None, typer.Option(help="The pool to work for.", show_default="the only one")
    ] = None,
    config: ConfigOption = None,
    supervised: SupervisedOption = False,
    name: Annotated[str | None, typer.Option("--name", hidden=True)] = None,
) -> None:
    """Run one worker with its engine, on the same settings as the gateway."""
    settings = load_settings(config).settings
    run(_work(settings, pool_named(pool, settings), name, supervised=supervised))


def pool_named(name: str | None, settings: Settings) -> str:
    """The pool, or the only one there is. Raises SettingsError."""
    pools = ", ".join(settings.pools)
    match name:
        case None if len(settings.pools) == 1:
            return next(iter(settings.pools))
        case None:
            raise SettingsError(f"--pool is needed, because there are several: {pools}.")
        case _ if name not in settings.pools:
            raise SettingsError(f"--pool: there is no pool {name!r}; there are: {pools}.")
        case _:
            return name


async def _work(settings: Settings, pool: str, name: str | None, *, supervised: bool) -> None:
    stopping = Stopping()
    stopping.listen(supervised=supervised)
    await run_worker(settings, pool, stopping, name)
