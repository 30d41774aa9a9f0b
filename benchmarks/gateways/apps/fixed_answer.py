"""A server that answers fixed bytes to whatever arrives: what the load generator can do at most."""

import asyncio
from typing import cast

import uvloop

from benchmarks.gateways.apps import serving

BODY = b'{"status": "queued"}'
ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class FixedAnswer(asyncio.Protocol):
    """Takes each arrival for one whole request: true of short requests on the loopback."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - unread on purpose
        """Answer."""
        self.transport.write(ANSWER)


async def serve_forever(port: int) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(FixedAnswer, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve_forever(serving.parser().parse_args().port))
