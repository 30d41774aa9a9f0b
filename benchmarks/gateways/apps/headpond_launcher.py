"""Starts Headpond's gateway with one API key in its store: that of the run, with rate limits.

usage: python -m benchmarks.gateways.apps.headpond_launcher --key KEY
"""

import argparse
import hashlib
import os
import time

from headpond.configuration import load
from headpond.domain.identity import ApiKey, KeyId, Limits
from headpond.processes.gateway import run_gateway
from headpond.processes.loop import run
from headpond.processes.stopping import Stopping
from headpond.wiring.stores import open_store

# So high that nothing is refused: what counts is that they are counted.
LIMITS = Limits(requests_per_minute=10**9, tokens_per_minute=10**12)


async def serve(secret: str) -> None:
    """Store the key, then be the gateway that the environment describes."""
    settings = load(os.environ).settings
    digest = hashlib.sha256(secret.encode()).hexdigest()
    key = ApiKey(
        id=KeyId("key_benchmark"),
        digest=digest,
        hint=secret[:8],
        team="benchmark",
        feature="submit",
        limits=LIMITS,
        created_at=time.time(),
    )
    async with open_store(settings) as store:
        await store.keys.add(key)
    stopping = Stopping()
    stopping.listen()
    await run_gateway(settings, stopping)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--key", required=True)
    run(serve(parser.parse_args().key))
