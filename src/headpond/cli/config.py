"""`headpond config …`."""

from collections.abc import Iterator

import typer

from headpond.cli.console import show_json, show_table, show_text
from headpond.cli.options import ConfigOption, JsonOption, load_settings
from headpond.configuration import Configuration
from headpond.configuration.reference import reference_page
from headpond.configuration.showing import DEFAULT, shown
from headpond.configuration.written import origin_of
from headpond.errors import MissingExtra, SettingsError, installing
from headpond.wiring.refusals import refusals

app = typer.Typer(help="Check and show the settings.", no_args_is_help=True)


@app.command()
def check(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say whether the settings are right, and if not, what is wrong and where."""
    loaded = load_settings(config)
    if complaints := list(_complaints(loaded)):
        raise SettingsError("\n".join(complaints))
    file = loaded.file
    if as_json:
        show_json({"ok": True, "file": file})
    else:
        show_text(f"The settings are right ({file or 'no file, defaults and environment'}).")


@app.command()
def show(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the settings in force and where each comes from; secrets are not shown."""
    settings = list(shown(load_settings(config)))
    if as_json:
        show_json(settings)
        return
    rows = [(s.setting, s.value, "" if s.origin == DEFAULT else s.origin) for s in settings]
    show_table(("setting", "value", "from"), rows)


@app.command()
def reference() -> None:
    """Print the page that documents every setting, in Markdown."""
    typer.echo(reference_page(), nl=False)


def _complaints(loaded: Configuration) -> Iterator[str]:
    """A line each, and at the end one command for all the extras that are missing."""
    extras: dict[str, None] = {}
    for place, error in refusals(loaded.settings):
        words = str(error)
        if isinstance(error, MissingExtra):
            extras[error.extra] = None
            words = error.need
        yield f"{origin_of(loaded.written, place) or 'default'}: {words}"
    if extras:
        yield installing(*sorted(extras))
