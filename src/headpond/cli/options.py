"""Options that several commands share, and what they stand for."""

import os
from collections.abc import Mapping
from typing import Annotated

import typer

from headpond.client import Client
from headpond.configuration import Configuration, load
from headpond.configuration.environment import API_KEY, URL, variable_of
from headpond.errors import SettingsError
from headpond.settings import GatewaySettings

ConfigOption = Annotated[
    str | None, typer.Option("--config", help="Settings file.", show_default="headpond.yaml")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
UrlOption = Annotated[
    str,
    typer.Option("--url", envvar=URL, help="The gateway; the key is taken from HEADPOND_API_KEY."),
]
SupervisedOption = Annotated[bool, typer.Option("--supervised", hidden=True)]

DEFAULT_URL = f"http://{GatewaySettings().host}:{GatewaySettings().port}"


_NAMES = {
    ("gateway", "host"): "--host",
    ("gateway", "port"): "--port",
    ("home",): "--home",
    ("pools", "default", "engine", "url"): "--engine",
    ("pools", "default", "engine", "gguf"): "--model",
}
"""What sets these on the command line."""


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


def client_of(url: str) -> Client:
    """A client of the gateway at `url`, with the key of the environment."""
    return Client(url, os.environ.get(API_KEY))
