"""`headpond archive …`: the files of every request and result."""

from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

from headpond.cli.console import local_time, show_json, show_table, show_text
from headpond.cli.options import ConfigOption, JsonOption, load_settings
from headpond.domain.archive import DATA, ObjectName, day_in, day_of
from headpond.errors import InvalidRequest, SettingsError
from headpond.processes.loop import run
from headpond.services.archive_check import Checked, check_day
from headpond.settings import Settings
from headpond.wiring.archives import archivist_of, formats_of, open_objects
from headpond.wiring.stores import open_store

app = typer.Typer(help="Write, list and verify the archive.", no_args_is_help=True)

DayOption = Annotated[str | None, typer.Option(help="Only this day (UTC), such as 2030-01-31.")]


@app.command(name="run")
def run_once(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Archive all that has ended and settled, as a gateway does by itself."""
    settings = load_settings(config).settings
    written, until = run(_archive(settings))
    if as_json:
        show_json({"windows": written, "until": until})
    else:
        show_text(f"{written} windows written; archived until {local_time(until)}.")


@app.command(name="list")
def list_objects(
    *, day: DayOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the files with rows."""
    wanted = None if day is None else day_of(_beginning(day))
    settings = load_settings(config).settings
    names = run(_names(settings))
    shown = sorted(name for name in names if wanted in {None, day_in(name)})
    if as_json:
        show_json(shown)
    else:
        show_table(("file",), [(name,) for name in shown])


@app.command()
def verify(
    *,
    day: Annotated[str, typer.Option(help="The day (UTC), such as 2030-01-31.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a day's files with the audit log. Status 1 if rows are missing or doubled."""
    settings = load_settings(config).settings
    checked = run(_verify(settings, _beginning(day)))
    if as_json:
        show_json(checked)
    else:
        show_text(
            f"{checked.day}: {checked.ends} ends in the audit log, {checked.rows} rows; "
            f"{len(checked.missing)} missing, {len(checked.doubled)} doubled, "
            f"{len(checked.gone)} of deaths that another end followed."
        )
    if checked.missing or checked.doubled:
        raise typer.Exit(1)


def _beginning(day: str) -> float:
    """Of a day, in Unix seconds. Raises InvalidRequest."""
    try:
        return datetime.combine(date.fromisoformat(day), time(), UTC).timestamp()
    except ValueError as error:
        message = f"--day takes a day, such as 2030-01-31, not {day!r}."
        raise InvalidRequest(message, code="invalid_value", param="--day") from error


async def _archive(settings: Settings) -> tuple[int, float]:
    async with open_store(settings, make=False) as store:
        archivist = await archivist_of(settings, store)
        if archivist is None:
            raise SettingsError("There is no archive: set archive.url.")
        return await archivist.tick(), await archivist.until()


async def _names(settings: Settings) -> list[ObjectName]:
    objects = await open_objects(settings.archive)
    return [name async for name in objects.names(f"{DATA}/")]


async def _verify(settings: Settings, day: float) -> Checked:
    objects = await open_objects(settings.archive)
    async with open_store(settings, make=False) as store:
        archivist = await archivist_of(settings, store)
        return await check_day(
            day,
            until=0.0 if archivist is None else await archivist.until(),
            audit=store.audit,
            objects=objects,
            formats=formats_of(settings.archive),
        )
