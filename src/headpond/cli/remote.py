"""What commands share that talk to a gateway, here or elsewhere."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from headpond.client import Client
from headpond.configuration.environment import API_KEY, URL
from headpond.errors import Unauthenticated, Unavailable
from headpond.settings import GatewaySettings

UrlOption = Annotated[
    str,
    typer.Option("--url", envvar=URL, help="The gateway; the key is taken from HEADPOND_API_KEY."),
]
DEFAULT_URL = f"http://{GatewaySettings().host}:{GatewaySettings().port}"


@asynccontextmanager
async def client_of(url: str) -> AsyncGenerator[Client]:
    """A client of the gateway at `url`, with the key of the environment."""
    async with Client(url, os.environ.get(API_KEY) or None) as client:
        try:
            yield client
        except Unauthenticated as error:
            raise Unauthenticated(_with_variable(error), code=error.code) from error
        except Unavailable as error:
            if error.code != "gateway_unreachable":
                raise
            message = f"{error} --url or {URL} says where it is."
            raise Unavailable(message, code=error.code) from error


def _with_variable(error: Unauthenticated) -> str:
    if error.code == "missing_api_key":
        return f"This gateway wants an API key: set {API_KEY} to it."
    return f"{error.message.rstrip('.')}. Set {API_KEY} to one that this gateway knows."
