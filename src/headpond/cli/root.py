"""The commands put together; errors become one readable line and an exit code."""

import sys

import typer

from headpond.cli import (
    audit,
    batch,
    config,
    dead,
    demo,
    gateway,
    jobs,
    keys,
    simulate,
    up,
    version,
    webhooks,
    worker,
)
from headpond.cli.console import complain
from headpond.errors import HeadpondError, MissingExtra, RequestError, SettingsError
from headpond.processes.child import Exit

app = typer.Typer(
    name="headpond",
    help="A durable queue in front of self-hosted LLM engines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for module in (up, demo, gateway, worker, jobs, simulate, version):
    for command in module.commands:
        app.command()(command)
app.add_typer(batch.app, name="batch")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(dead.app, name="dead")
app.add_typer(config.app, name="config")
app.add_typer(webhooks.app, name="webhooks")


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except HeadpondError as error:
        complain(str(error))
        sys.exit(exit_code(error))


def exit_code(error: HeadpondError) -> Exit:
    """2 where trying again changes nothing, 1 where it may."""
    refused = (SettingsError, RequestError, MissingExtra)
    return Exit.REFUSED if isinstance(error, refused) else Exit.FAILED
