"""The gateway process.

Stopping: whoever waits for a job's end is told that it is not done in time, the job goes on; no new
connections; the requests that are being answered may finish within a few seconds; then the store is
closed.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Generator

import uvicorn
from typing_extensions import override

from headpond.errors import SettingsError
from headpond.processes.stopping import Stopping
from headpond.settings import GatewaySettings, Settings
from headpond.wiring.gateways import Gateway, open_gateway
from headpond.wiring.observers import start_logging

GRACE_S = 3
BACKLOG = 2048


async def run_gateway(
    settings: Settings,
    stopping: Stopping,
    listening: socket.socket | None = None,
    *,
    told: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until asked to stop, on `listening` if it is given, else on what the settings say.

    `told` hears the URL once it can be called. Raises SettingsError before anything is served.
    """
    start_logging(settings)
    async with open_gateway(settings) as gateway:
        listening = listening or listen(settings.gateway)
        told(url_of(listening))
        await _serve(gateway, listening, stopping)


def listen(settings: GatewaySettings) -> socket.socket:
    """A bound socket. Raises SettingsError if the address cannot be had."""
    host, port = settings.host, settings.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"Port {port} of {host} is in use already. Choose another one with --port or "
                "gateway.port; 0 takes a free one."
            ) from error
        raise SettingsError(f"gateway.host: cannot listen on {host}:{port}: {error}.") from error


def url_of(listening: socket.socket) -> str:
    """Where what listens there is reached from this machine."""
    host: str
    port: int
    host, port = listening.getsockname()[:2]
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here
    local = anywhere.get(host, host)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


class Server(uvicorn.Server):
    """Leaves signals to `Stopping`."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def _serve(gateway: Gateway, listening: socket.socket, stopping: Stopping) -> None:
    config = uvicorn.Config(
        gateway.app,
        lifespan="off",
        access_log=False,
        # Nothing here depends on the peer's address, so nobody is believed about it.
        proxy_headers=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="serve")
    asked = asyncio.create_task(stopping.asked.wait())
    await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    gateway.end_waits()
    server.should_exit = True
    urged = asyncio.create_task(_urge(server, stopping))
    await serving
    urged.cancel()


async def _urge(server: Server, stopping: Stopping) -> None:
    await stopping.urged.wait()
    server.force_exit = True
