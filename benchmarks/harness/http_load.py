"""A small closed-loop HTTP load generator in a process of its own.

usage: python -m benchmarks.harness.http_load LOAD OUTCOME

Each of N connections sends its next request when the answer to its last has arrived.  It speaks
HTTP/1.1 over raw sockets and reads just enough of an answer to know its status and its end, so
that the server, not the generator, is what saturates a core.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.harness.load import NUMBER_DIGITS, Load
from benchmarks.harness.machine import pin
from benchmarks.harness.percentiles import percentile

HEADER_END = b"\r\n\r\n"
CONTENT_LENGTH = b"content-length:"


class Tally:
    """What all connections have seen since the warm-up ended."""

    def __init__(self, load: Load) -> None:
        """Prepare the parts of each request once."""
        self.accepted = str(load.accepted_status).encode()
        self.head = load.head()
        self.tail = load.body_after.encode()
        self.measuring = False
        self.latencies_s: list[float] = []
        self.failures: dict[str, int] = {}
        self._sent = 0

    def request(self) -> bytes:
        """Return the next request."""
        self._sent += 1
        return b"%b%0*d%b" % (self.head, NUMBER_DIGITS, self._sent, self.tail)

    def answered(self, status: bytes, latency_s: float) -> None:
        """Count an answer."""
        if not self.measuring:
            return
        if status == self.accepted:
            self.latencies_s.append(latency_s)
        else:
            self.failed(f"status {status.decode(errors='replace')}")

    def failed(self, kind: str) -> None:
        """Count something that was no accepted answer."""
        self.failures[kind] = self.failures.get(kind, 0) + 1


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way."""

    def __init__(self, tally: Tally, closed: asyncio.Future[None]) -> None:
        """Send until the transport is closed; then set `closed`."""
        self.tally = tally
        self.closed = closed
        self.buffer = b""
        self.sent_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Send the next request once the answer is complete."""
        self.buffer = self.buffer + data if self.buffer else data
        header_end = self.buffer.find(HEADER_END)
        if header_end < 0:
            return
        length = _content_length(self.buffer[:header_end])
        if length is None:
            self.tally.failed("an answer without content-length")
            self.transport.close()
            return
        if len(self.buffer) < header_end + len(HEADER_END) + length:
            return
        self.tally.answered(self.buffer[9:12], time.perf_counter() - self.sent_s)
        self.buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note an end that the server chose."""
        if not self.transport.is_closing() or exc is not None:
            self.tally.failed("connection lost")
        if not self.closed.done():
            self.closed.set_result(None)

    def _send(self) -> None:
        if not self.transport.is_closing():
            self.sent_s = time.perf_counter()
            self.transport.write(self.tally.request())


def _content_length(header: bytes) -> int | None:
    lowered = header.lower()
    start = lowered.find(CONTENT_LENGTH)
    if start < 0:
        return None
    return int(lowered[start + len(CONTENT_LENGTH) :].split(b"\r\n", 1)[0])


async def measure(load: Load) -> dict[str, object]:
    """Apply the load; return the rate, the latencies and whatever failed."""
    loop = asyncio.get_running_loop()
    tally = Tally(load)
    ends = [loop.create_future() for _ in range(load.connections)]
    transports = [
        (await loop.create_connection(lambda e=end: Connection(tally, e), "127.0.0.1", load.port))[
            0
        ]
        for end in ends
    ]
    await asyncio.sleep(load.warm_up_s)
    tally.measuring = True
    begun_s = time.perf_counter()
    await asyncio.wait(ends, timeout=load.duration_s)
    tally.measuring = False
    elapsed_s = time.perf_counter() - begun_s
    for transport in transports:
        transport.abort()
    return _outcome(tally, elapsed_s)


def _outcome(tally: Tally, elapsed_s: float) -> dict[str, object]:
    if tally.failures or not tally.latencies_s:
        counts = ", ".join(f"{count} x {kind}" for kind, count in tally.failures.items())
        return {"reason": f"{len(tally.latencies_s)} accepted; {counts or 'no answer at all'}"}
    return {
        "values": {
            "requests_per_s": len(tally.latencies_s) / elapsed_s,
            "p50_ms": percentile(tally.latencies_s, 0.5) * 1000,
            "p99_ms": percentile(tally.latencies_s, 0.99) * 1000,
        }
    }


def main() -> None:
    """Apply the load and write the outcome where the harness looks for it."""
    load = Load.read(Path(sys.argv[1]))
    pin(os.getpid(), load.core)
    outcome = uvloop.run(measure(load))
    Path(sys.argv[2]).write_text(json.dumps(outcome))


if __name__ == "__main__":
    main()
