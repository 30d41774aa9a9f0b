"""Options that several commands share, and what they stand for."""

import os
from collections.abc import Mapping
from typing import Annotated

import typer

from headpond.configuration import Configuration, load

ConfigOption = Annotated[
    str | None, typer.Option("--config", help="Settings file.", show_default="headpond.yaml")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ColdStartOption = Annotated[
    float,
    typer.Option(
        "--cold-start", min=0, help="Seconds to wait before each start of a worker: for trials."
    ),
]
SupervisedOption = Annotated[bool, typer.Option("--supervised", hidden=True)]


def load_settings(file: str | None, options: Mapping[str, str] | None = None) -> Configuration:
    """The settings from the file and the environment, with `options` (variables) on top."""
    return load({**os.environ, **(options or {})}, file)
