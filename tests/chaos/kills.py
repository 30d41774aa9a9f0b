"""SIGKILL and SIGSTOP gateway, workers and engine at random moments under load, then count.

    python -m tests.chaos.kills --seconds 60 --seed 1
    python -m tests.chaos.kills --seconds 60 --seed 1 --full-disk FOLDER
    python -m tests.chaos.kills --seconds 60 --seed 1 --postgres
    python -m tests.chaos.kills --seconds 60 --seed 1 --redis

The second form keeps the data in FOLDER, a small file system of its own, and fills it now and then
(`make chaos-full-disk` mounts one). The third has two gateways on a PostgreSQL server of its own,
which crashes now and then too. The fourth has the queue and the streams in a Valkey of its own,
which crashes as well.

Every job that was answered with 202 must end exactly once with one result, whatever was killed;
a client that sends again under its Idempotency-Key must meet the same job. Every batch must have
one line for each of its requests, and every job with a callback must be told, under one
`webhook-id`. Exits 1 if not.
"""

import argparse
import asyncio
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp

from tests.chaos.batches import BatchClient, BatchTally
from tests.chaos.disk import fill
from tests.chaos.processes import Part, free_port
from tests.chaos.receiver import Inbox, receiving
from tests.chaos.stores import Look, PostgresLook, RedisLook, SqliteLook
from tests.postgres import running_server
from tests.redis_server import running

SQLITE = "sqlite:///headpond.db"
SUBMITTERS = 8
WORKERS = 2
PAUSE_S = (0.5, 2.0)
LEASE_S = 2
FREEZE_SHARE = 0.25
FULL_SHARE = 0.3
CRASH_SHARE = 0.15
FULL_S = 2.0
CALLS = 300
"""Attempts of a webhook: more than fit into any run."""

FREEZE_S = 1.5 * LEASE_S
"""Long enough for a frozen worker to lose its leases and come back as a zombie."""

PATIENCE_S = 60.0


@dataclass
class Tally:
    """What clients were told. `jobs` maps each key to the ids that were answered for it.

    The jobs of `called_back` have a callback.
    """

    jobs: dict[str, set[str]] = field(default_factory=dict)
    called_back: set[str] = field(default_factory=set)
    batches: BatchTally = field(default_factory=BatchTally)
    refused: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    times_full: int = 0
    crashes: int = 0


class Server(Protocol):
    """One that processes need."""

    def crash(self) -> None:
        """End it at once."""
        ...

    def start(self) -> object:
        """Start it again, with what it kept."""
        ...


@dataclass(frozen=True)
class Stage:
    """Where the data lies, and what can be broken beside the processes.

    `elsewhere` are lines of the configuration.
    """

    home: Path
    store: str
    look: Look
    elsewhere: str = ""
    gateways: int = 1
    disk: Path | None = None
    server: Server | None = None


def parts_of(stage: Stage, gateway_ports: Sequence[int], engine_port: int) -> list[Part]:
    """Engine, gateways and workers on one store."""
    home = stage.home
    config = home / "headpond.yaml"
    config.write_text(
        f"home: {home}\n"
        f"store: {stage.store}\n"
        f"{stage.elsewhere}"
        "pools:\n"
        "  default:\n"
        f"    engine: {{url: 'http://127.0.0.1:{engine_port}'}}\n"
        "    models: [model]\n"
        f"    lease_s: {LEASE_S}\n"
        "    retry: {max_lost_leases: 100, not_now_s: 0.2}\n"
        "reaper: {every_s: 1, accepted_grace_s: 2}\n"
        "batches: {every_s: 0.5, lease_s: 3}\n"
        "webhooks:\n"
        "  allow_http: true\n"
        "  allowed_networks: [127.0.0.0/8]\n"
        f"  schedule_s: {[1] * CALLS}\n"
        "log: {level: warning}\n"
    )
    engine = ["headpond.testing.engine_server", "--port", str(engine_port), "--model", "model"]
    engine += ["--decode-ms", "5"]
    parts = [
        Part("engine", engine, home / "engine.log"),
    ]
    for port in gateway_ports:
        gateway = ["headpond", "gateway", "--config", str(config), "--port", str(port)]
        parts.append(Part(f"gateway-{port}", gateway, home / f"gateway-{port}.log"))
    workers = ["headpond", "worker", "--config", str(config)]
    return parts + [Part(f"worker-{n}", workers, home / f"worker-{n}.log") for n in range(WORKERS)]


async def submit_on_and_on(
    session: aiohttp.ClientSession,
    url: str,
    tally: Tally,
    number: int,
    *,
    callback: str | None,
    until: float,
) -> None:
    """One client: each key is sent until it is answered, and one in three once more."""
    sent = 0
    while time.monotonic() < until:
        key = f"{number}-{sent}"
        body: dict[str, object] = {"prompt": f"prompt {key}", "model": "model", "max_tokens": 8}
        if callback is not None:
            body["callback"] = {"url": callback}
        times = 2 if sent % 3 == 0 else 1
        for _ in range(times):
            await submit(session, url, tally, key, body)
        sent += 1


async def submit(
    session: aiohttp.ClientSession, url: str, tally: Tally, key: str, body: dict[str, object]
) -> None:
    """Send until there is an answer, as a client with retries does."""
    for _ in range(1000):
        try:
            async with session.post(
                f"{url}/jobs", json=body, headers={"Idempotency-Key": key}
            ) as response:
                answer = await response.json()
                if response.status == 202:
                    tally.jobs.setdefault(key, set()).add(answer["job_id"])
                    if "callback" in body:
                        tally.called_back.add(answer["job_id"])
                    return
                tally.refused[response.status] += 1
        except (aiohttp.ClientError, OSError, TimeoutError, json.JSONDecodeError):
            tally.broken += 1
        await asyncio.sleep(0.05)


async def break_on_and_on(
    parts: list[Part], stage: Stage, tally: Tally, dice: random.Random, until: float
) -> None:
    """Kill one part after the other and start it again at once, or freeze it, or harm the store."""
    while time.monotonic() < until:
        await asyncio.sleep(dice.uniform(*PAUSE_S))
        for part in parts:
            part.revive()
        if stage.disk is not None and dice.random() < FULL_SHARE:
            await asyncio.to_thread(fill, stage.disk, FULL_S)
            tally.times_full += 1
            continue
        if stage.server is not None and dice.random() < CRASH_SHARE:
            await asyncio.to_thread(stage.server.crash)
            await asyncio.to_thread(stage.server.start)
            tally.crashes += 1
            continue
        part = dice.choice(parts)
        if dice.random() < FREEZE_SHARE:
            await asyncio.to_thread(part.freeze, FREEZE_S)
        else:
            await asyncio.to_thread(part.kill)
            part.start()


async def states(look: Look) -> Counter[str]:
    """How many jobs are in which state."""
    rows = await look.rows("SELECT state, count(*) FROM jobs GROUP BY state")
    return Counter(dict(rows))


async def untold(look: Look) -> int:
    """How many batches have not ended, and webhooks are not told."""
    ((count,),) = await look.rows(
        "SELECT (SELECT count(*) FROM batches WHERE ended_at IS NULL)"
        " + (SELECT count(*) FROM webhook_dispatches WHERE due_at IS NOT NULL)"
    )
    return count


async def until_all_ended(look: Look) -> Counter[str]:
    """Wait for the pond to run empty, or for nothing to end any more; the states as they are."""
    least, until = math.inf, time.monotonic() + PATIENCE_S
    while True:
        counts = await states(look)
        left = counts["accepted"] + counts["queued"] + counts["running"]
        left += await untold(look) + await look.messages()
        if left < least:
            least, until = left, time.monotonic() + PATIENCE_S
        if not left or time.monotonic() > until:
            return counts
        await asyncio.sleep(0.2)


async def verdict(
    look: Look, tally: Tally, inbox: Inbox, counts: Counter[str], batch_faults: dict[str, int]
) -> dict[str, object]:
    """Everything that was promised, as counts; `violations` must be empty."""

    async def one(query: str) -> int:
        return (await look.rows(query))[0][0]

    stored = {job_id for (job_id,) in await look.rows("SELECT id FROM jobs")}
    accepted = {job_id for ids in tally.jobs.values() for job_id in ids}
    checks = {
        "no job was accepted at all": int(not accepted),
        "no batch was made at all": int(not tally.batches.made),
        "accepted jobs that are not in the store": len(accepted - stored),
        "keys that were answered with two jobs": sum(len(ids) > 1 for ids in tally.jobs.values()),
        "jobs that have not ended": sum(
            counts[state] for state in ("accepted", "queued", "running")
        ),
        "jobs that ended without a result": len(stored) - counts["succeeded"],
        "results without a succeeded job, or doubled": await one("SELECT count(*) FROM responses")
        - counts["succeeded"],
        "messages left over": await look.messages(),
        "keys with more jobs than one": await one("SELECT count(*) FROM jobs WHERE batch IS NULL")
        - await one("SELECT count(DISTINCT job_id) FROM idempotency_keys"),
        "batches or webhooks that have not ended": await untold(look),
        "jobs that nobody was told of": len(tally.called_back - inbox.told.keys()),
        "jobs told under two ids": sum(len(ids) > 1 for ids in inbox.told.values()),
        **batch_faults,
        "broken pages": int(not await look.sound()),
    }
    return {
        "accepted": len(accepted),
        "stored": len(stored),
        "batches": len(tally.batches.made),
        "called_back": len(tally.called_back),
        "callbacks_refused": inbox.refused,
        "states": dict(counts),
        "lost_leases": await one("SELECT coalesce(sum(lost_leases), 0) FROM job_records"),
        "requests_broken_off": tally.broken + tally.batches.broken,
        "requests_refused": dict(tally.refused),
        "checks": checks,
        "violations": [name for name, count in checks.items() if count],
    }


async def run(seconds: float, seed: int, stage: Stage) -> dict[str, object]:
    """Load and kills for `seconds`, then the verdict."""
    dice = random.Random(seed)
    ports = [free_port() for _ in range(stage.gateways)]
    parts = parts_of(stage, ports, free_port())
    for part in parts:
        part.start()
    try:
        async with (
            receiving(free_port(), dice) as inbox,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
        ):
            tally, until = Tally(), time.monotonic() + seconds
            urls = [f"http://127.0.0.1:{port}" for port in ports]
            batches = BatchClient(session, urls[-1], tally.batches)
            clients = [
                submit_on_and_on(
                    session,
                    urls[number % len(urls)],
                    tally,
                    number,
                    # Half of the clients of each gateway.
                    callback=inbox.url if number // len(urls) % 4 == 1 else None,
                    until=until,
                )
                for number in range(SUBMITTERS)
            ]
            await asyncio.gather(
                *clients,
                batches.make_on_and_on(lambda: time.monotonic() < until),
                break_on_and_on(parts, stage, tally, dice, until),
            )
            for part in parts:
                part.revive()
            counts = await until_all_ended(stage.look)
            batch_faults = await batches.check()
    finally:
        exits = {part.name: part.end() for part in reversed(parts)}
    return {
        "seed": seed,
        "seconds": seconds,
        "kills": {part.name: part.kills for part in parts},
        "freezes": {part.name: part.freezes for part in parts},
        "exits_by_themselves": {part.name: part.exits for part in parts},
        "times_full": tally.times_full,
        "crashes_of_the_server": tally.crashes,
        "exits": exits,
    } | await verdict(stage.look, tally, inbox, counts, batch_faults)


def main() -> None:
    """Print the counts; exit with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--full-disk", type=Path, metavar="FOLDER")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--redis", action="store_true")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="headpond-chaos-", dir=arguments.full_disk)
        home = Path(stack.enter_context(folder))
        look: Look = SqliteLook(home / "headpond.db")
        if arguments.postgres:
            server = stack.enter_context(running_server(synced=True))
            look = PostgresLook(server.url)
            stage = Stage(home, server.url, look, gateways=2, server=server)
        elif arguments.redis:
            valkey = stack.enter_context(running(home / "valkey"))
            elsewhere = f"queue: {valkey.url}\nstreams: {valkey.url}\n"
            look = RedisLook(look, valkey.url)
            stage = Stage(home, SQLITE, look, elsewhere, gateways=2, server=valkey)
        else:
            stage = Stage(home, SQLITE, look, disk=arguments.full_disk)
        result = asyncio.run(run(arguments.seconds, arguments.seed, stage))
    print(json.dumps(result, indent=2))  # noqa: T201
    sys.exit(1 if result["violations"] else 0)


if __name__ == "__main__":
    main()
