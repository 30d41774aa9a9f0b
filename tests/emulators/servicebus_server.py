"""Azure Service Bus in this process, on any clock, such as one that tests move.

The official clients speak to it as to Microsoft's emulator (`UseDevelopmentEmulator=true`): AMQP
without TLS, of which each part has its module. Administration they know over TLS alone, so it has
a certificate of an authority made for the test, which `SSL_CERT_FILE` names. Here nothing is late.
"""

import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiohttp import web

from headpond.ports.clock import Clock
from headpond.testing.clocks import ManualClock
from tests.emulators.proton_library import find_proton
from tests.emulators.servicebus_administration import administration
from tests.emulators.servicebus_broker import Broker

if TYPE_CHECKING:
    from tests.emulators.servicebus_links import Links

KEY = "RootManageSharedAccessKey:SAS_KEY_VALUE"


def ahead() -> ManualClock:
    """A clock an hour ahead of the machine's.

    By that one the client looks whether a lock is over, before it says anything.
    """
    return ManualClock(time.time() + 3600)


@dataclass(frozen=True)
class ServiceBus:
    """A namespace; `administration` is the address of its own."""

    broker: Broker
    links: "Links"
    administration: str

    def url(self, prefix: str) -> str:
        """As the setting has it."""
        host = f"127.0.0.1:{self.links.port}"
        return f"servicebus://{KEY}@{host}/{prefix}?emulator={self.administration}"


@asynccontextmanager
async def servicebus_server(clock: Clock, *also_at: str) -> AsyncGenerator[ServiceBus]:
    """Sets `SSL_CERT_FILE`. Skips where there is no Proton.

    The certificate is good for addresses that it is `also_at`, by way of somebody else.
    """
    find_proton()
    from tests.emulators.servicebus_links import Links  # noqa: PLC0415 - not to be had everywhere

    broker, authority = Broker(clock), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate: Any = authority.issue_cert("127.0.0.1", *also_at)
    certificate.configure_cert(context)
    runner = web.AppRunner(administration(broker))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    links = Links(broker)
    links.start()
    try:
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            trusted = Path(folder) / "authority.pem"
            authority.cert_pem.write_to_path(trusted)
            patch.setenv("SSL_CERT_FILE", str(trusted))
            yield ServiceBus(broker, links, f"127.0.0.1:{site.port}")
    finally:
        links.close()
        await runner.cleanup()
