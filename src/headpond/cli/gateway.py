"""`headpond gateway`."""

from typing import Annotated

import typer

from headpond.cli.console import show_line, show_text
from headpond.cli.options import ConfigOption, JsonOption, SupervisedOption, load_settings
from headpond.configuration.environment import variable_of
from headpond.processes.gateway import run_gateway
from headpond.processes.loop import run
from headpond.processes.stopping import Stopping
from headpond.processes.supervisor import inherited
from headpond.settings import Settings


def gateway(
    *,
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind; 0 takes a free one.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    supervised: SupervisedOption = False,
    listening: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the HTTP side alone, on the same settings as its workers."""
    options = bound_to(host, port)
    settings = load_settings(config, options).settings
    if supervised:
        run(_serve_supervised(settings, listening))
    else:
        run(_serve(settings, as_json=as_json))


def bound_to(host: str | None, port: int | None) -> dict[str, str]:
    """The options as the variables that they stand for."""
    options: dict[str, str] = {}
    if host is not None:
        options[variable_of(("gateway", "host"))] = host
    if port is not None:
        options[variable_of(("gateway", "port"))] = str(port)
    return options


async def _serve(settings: Settings, *, as_json: bool) -> None:
    def told(url: str) -> None:
        if as_json:
            show_line({"url": url})
        else:
            show_text(f"The gateway is up at {url}. Ctrl-C drains and ends.")

    stopping = Stopping()
    stopping.listen()
    await run_gateway(settings, stopping, told=told)


async def _serve_supervised(settings: Settings, listening: int | None) -> None:
    """Whoever supervises tells the address."""
    stopping = Stopping()
    stopping.listen(supervised=True)
    await run_gateway(settings, stopping, None if listening is None else inherited(listening))
