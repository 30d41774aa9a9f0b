"""The commands put together; errors become one readable line and an exit code."""

import sys
from importlib import import_module

import typer

from headpond.cli.console import complain
from headpond.cli.options import with_home
from headpond.errors import HeadpondError, MissingExtra, RequestError, SettingsError
from headpond.processes.child import Exit

MODULES = {
    "up": "up",
    "demo": "demo",
    "gateway": "gateway",
    "worker": "worker",
    "submit": "jobs",
    "get": "jobs",
    "jobs": "jobs",
    "cancel": "jobs",
    "simulate": "simulate",
    "replay": "simulate",
    "version": "version",
}
"""Where each command stands."""

GROUPS = ("batch", "keys", "audit", "archive", "dead", "config", "webhooks", "scaler")
"""Groups of commands, each a module of the same name."""


def command_line(asked: str | None = None) -> typer.Typer:
    """The command line, with only the command or group that is asked for, if it is one.

    A worker that starts need not load what the gateway needs, and the other way round.
    """
    line = typer.Typer(
        name="headpond", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    line.callback(help="A durable queue in front of self-hosted LLM engines.")(_root)
    asked_for = {asked} if asked in MODULES or asked in GROUPS else {*MODULES, *GROUPS}
    for name, module in MODULES.items():
        if name in asked_for:
            command = getattr(import_module(f"headpond.cli.{module}"), name)
            line.command(name)(with_home(command))
    for name in GROUPS:
        if name in asked_for:
            group: typer.Typer = import_module(f"headpond.cli.{name}").app
            for one in (*group.registered_commands, group.registered_callback):
                if one is not None and one.callback is not None:
                    one.callback = with_home(one.callback)
            line.add_typer(group, name=name)
    return line


def main() -> None:
    """Run the command line and exit."""
    try:
        command_line(*sys.argv[1:2])()
    except HeadpondError as error:
        complain(str(error))
        sys.exit(exit_code(error))


def exit_code(error: HeadpondError) -> Exit:
    """2 where trying again changes nothing, 1 where it may."""
    refused = (SettingsError, RequestError, MissingExtra)
    return Exit.REFUSED if isinstance(error, refused) else Exit.FAILED


def _root() -> None:
    """Makes a group of it, even with one command."""
