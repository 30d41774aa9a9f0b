"""Another host: a network namespace of this machine, on a link that can be cut.

What listens on this machine's loopback is reached from there through a forwarder. While the link is
cut packets are lost and nobody is told, as in a partition: connections stand, and time out. It
needs Linux, root and iproute2.
"""

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

LOOPBACK = re.compile(r"\b127\.0\.0\.1:(\d+)")

NETS = tuple(f"10.211.{number}" for number in range(256))
ADDRESSES = tuple(f"{net}.1" for net in NETS)
"""Where this machine may be seen from another host."""

Forward = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_numbers = itertools.count(os.getpid() % 200)


class NoOtherHostError(Exception):
    """There is none to be had here."""


class OtherHost:
    """`address` is this machine's, as it is seen from there."""

    def __init__(self, name: str, link: str, address: str) -> None:
        self._name = name
        self._link = link
        self.address = address

    def cut(self) -> None:
        """From now on nothing comes through."""
        _ip("link", "set", self._link, "down")

    def mend(self) -> None:
        """Everything does again."""
        _ip("link", "set", self._link, "up")

    def command(self, *command: str) -> list[str]:
        """What runs a command there."""
        return ["ip", "netns", "exec", self._name, *command]

    @asynccontextmanager
    async def reaching(self, variables: Mapping[str, str]) -> AsyncGenerator[dict[str, str]]:
        """The variables as they are right there: what they name on the loopback is forwarded."""
        ports = {port for value in variables.values() for port in LOOPBACK.findall(value)}
        async with AsyncExitStack() as opened:
            for port in ports:
                server = await asyncio.start_server(_forward_to(int(port)), self.address, int(port))
                opened.callback(server.close)
            yield {
                name: LOOPBACK.sub(rf"{self.address}:\1", value)
                for name, value in variables.items()
            }


@asynccontextmanager
async def other_host() -> AsyncGenerator[OtherHost]:
    """One that is gone at the end, with all that runs there. Raises NoOtherHostError."""
    number = next(_numbers)
    name, link, net = f"headpond-{number}", f"hp{number}", NETS[number]
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("ip") is None:
        raise NoOtherHostError("it takes Linux, root and iproute2")
    try:
        _ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        raise NoOtherHostError(error.stderr.decode()) from error
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("addr", "add", f"{net}.1/24", "dev", link)
        _ip("link", "set", link, "up")
        _ip("-n", name, "addr", "add", f"{net}.2/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", name, "link", "set", device, "up")
        yield OtherHost(name, link, f"{net}.1")
    finally:
        for pid in _ip("netns", "pids", name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        _ip("netns", "del", name)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True)  # noqa: S603, S607
    return done.stdout.decode()


def _forward_to(port: int) -> Forward:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    return forward


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()
