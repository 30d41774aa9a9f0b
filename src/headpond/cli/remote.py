"""What commands share that talk to a gateway, here or elsewhere."""

import os
from typing import Annotated

import typer

from headpond.client import Client
from headpond.configuration.environment import API_KEY, URL
from headpond.settings import GatewaySettings

UrlOption = Annotated[
    str,
    typer.Option("--url", envvar=URL, help="The gateway; the key is taken from HEADPOND_API_KEY."),
]
DEFAULT_URL = f"http://{GatewaySettings().host}:{GatewaySettings().port}"


def client_of(url: str) -> Client:
    """A client of the gateway at `url`, with the key of the environment."""
    return Client(url, os.environ.get(API_KEY) or None)
