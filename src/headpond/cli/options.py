"""Options that several commands share, and what they stand for."""

import inspect
import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated

import typer

from headpond.configuration import Configuration, load
from headpond.configuration.environment import variable_of
from headpond.errors import SettingsError

ConfigOption = Annotated[
    str | None, typer.Option("--config", help="Settings file.", show_default="headpond.yaml")
]
HomeOption = Annotated[
    str | None,
    typer.Option("--home", help="Folder for data.", show_default="what the settings say"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ColdStartOption = Annotated[
    float,
    typer.Option(
        "--cold-start", min=0, help="Seconds to wait before each start of a worker: for trials."
    ),
]
SupervisedOption = Annotated[bool, typer.Option("--supervised", hidden=True)]


_NAMES = {
    ("gateway", "host"): "--host",
    ("gateway", "port"): "--port",
    ("home",): "--home",
    ("pools", "default", "engine", "url"): "--engine",
    ("pools", "default", "engine", "gguf"): "--model",
}
"""What sets these on the command line."""


def with_home(command: Callable[..., None]) -> Callable[..., None]:
    """A command that reads the settings, with `--home`, if it has none of its own.

    It stands for HEADPOND_HOME, in the processes that the command starts, too.
    """
    own = inspect.signature(command).parameters
    if "config" not in own or "home" in own:
        return command
    home = inspect.Parameter(
        "home", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=HomeOption
    )
    merged = [*own.values(), home]

    @wraps(command)
    def homed(**options: object) -> None:
        if (folder := options.pop("home")) is not None:
            os.environ[variable_of(("home",))] = str(folder)
        command(**options)

    homed.__signature__ = inspect.Signature(merged)  # pyright: ignore[reportAttributeAccessIssue]
    homed.__annotations__ = {parameter.name: parameter.annotation for parameter in merged}
    return homed


def load_settings(file: str | None, options: Mapping[str, str] | None = None) -> Configuration:
    """The settings from the file and the environment, with `options` (variables) on top."""
    try:
        return load({**os.environ, **(options or {})}, file)
    except SettingsError as error:
        raise SettingsError(_by_option(str(error), options or {})) from error


def _by_option(message: str, options: Mapping[str, str]) -> str:
    """The message, naming the options that were typed and not the variables that they became."""
    for path, option in _NAMES.items():
        variable = variable_of(path)
        if variable in options:
            message = message.replace(f"{variable}: {'.'.join(path)}", option)
    return message
