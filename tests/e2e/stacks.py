"""The demo's input through a whole stack, in trouble; prints what became of it.

    python -m tests.e2e.stacks postgres --jobs 1000
    python -m tests.e2e.stacks gcp --jobs 300

A gateway and a worker with the example model run on the stack's servers, which are real ones or
emulators of this machine, and another worker on another host (`other_host.py`), if the stack's
servers can be reached from one. Every three seconds or so one of the processes is killed or frozen,
and the link between the hosts is cut, both mostly for longer than a lease lasts. Each order is sent
until it is answered, and once more at the end. Exits 1 unless every title has one job that
succeeded, and one entry in the audit log.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from headpond.adapters.local.clock import SystemClock
from headpond.cli.bulk import submit_patiently
from headpond.client import Client
from headpond.demo.files import held_out_file
from headpond.demo.titles import Title, job_for, read_titles
from headpond.domain.job import JobState
from tests.e2e.commands import Up, headpond, up
from tests.e2e.other_host import ADDRESSES, NoOtherHostError, other_host
from tests.e2e.trouble import Trouble, kept_worker
from tests.emulators.cosmos_server import KEY, Cosmos, cosmos_server
from tests.emulators.google_emulators import firestore_emulator, pubsub_emulator
from tests.emulators.moto_server import moto_process
from tests.emulators.proton_library import build_proton
from tests.emulators.servicebus_server import servicebus_server
from tests.postgres import running_server
from tests.redis_server import running

STACKS = ("sqlite", "postgres", "redis", "aws", "gcp", "azure")
PER_S = 8.0
"""Orders of a second, so that there is work whenever somebody is killed."""

HURRY = {
    "HEADPOND_POOLS__default__LEASE_S": "3",
    "HEADPOND_POOLS__default__RETRY__MAX_LOST_LEASES": "1000",
    "HEADPOND_REAPER__EVERY_S": "2",
    "HEADPOND_REAPER__ACCEPTED_GRACE_S": "3",
}


@asynccontextmanager
async def servers(stack: str, folder: Path) -> AsyncGenerator[Mapping[str, str]]:
    """The stack's servers, and the variables that lead to them."""
    async with AsyncExitStack() as opened:
        redis = folder / "redis"
        match stack:
            case "postgres":
                server = opened.enter_context(running_server(synced=True))
                yield {"HEADPOND_STORE": server.url}
            case "redis":
                server = opened.enter_context(running_server(synced=True))
                url = opened.enter_context(running(redis)).url
                yield {
                    "HEADPOND_STORE": server.url,
                    "HEADPOND_QUEUE": url,
                    "HEADPOND_STREAMS": url,
                }
            case "aws":
                moto = await opened.enter_async_context(moto_process())
                place = f"eu-central-1/pond?endpoint={moto.url}"
                yield {"HEADPOND_STORE": f"dynamodb://{place}", "HEADPOND_QUEUE": f"sqs://{place}"}
            case "gcp":
                place = "test-project/pond"
                yield {
                    "FIRESTORE_EMULATOR_HOST": opened.enter_context(firestore_emulator()),
                    "PUBSUB_EMULATOR_HOST": opened.enter_context(pubsub_emulator()),
                    "HEADPOND_STORE": f"firestore://{place}",
                    "HEADPOND_QUEUE": f"pubsub://{place}",
                }
            case "azure":
                cosmos = await opened.enter_async_context(cosmos_server(Cosmos()))
                bus = await opened.enter_async_context(servicebus_server(SystemClock(), *ADDRESSES))
                yield {
                    "HEADPOND_STORE": f"cosmos://test/pond/store?endpoint={cosmos.url}&key={KEY}",
                    "HEADPOND_QUEUE": bus.url("pond"),
                    "SSL_CERT_FILE": os.environ["SSL_CERT_FILE"],
                }
            case _:
                yield {}


async def run(stack: str, jobs: int, dice: random.Random) -> dict[str, object]:
    """What was handed in and what became of it."""
    titles = read_titles(held_out_file(), jobs)
    with tempfile.TemporaryDirectory(prefix="headpond-stack-") as name:
        folder = Path(name)
        home = folder / "home"
        async with servers(stack, folder) as places:
            variables = {**places, **HURRY}
            async with AsyncExitStack() as opened:
                other = None
                if stack != "sqlite":  # a file has no other host
                    host = await opened.enter_async_context(other_host())
                    there = await opened.enter_async_context(host.reaching(variables))
                    worker = kept_worker(host, folder / "there", there)
                    other = await opened.enter_async_context(worker)
                here = "2" if other is None else "1"
                system = await opened.enter_async_context(up(home, "--workers", here, **variables))
                trouble = Trouble(system, other, dice)
                ids, told = await _served(system, trouble, titles)
                stopped = await system.stop()
            audit = await headpond("audit", "export", HEADPOND_HOME=str(home), **places)
    audited = Counter(json.loads(line)["job"]["id"] for line in audit.out.splitlines())
    return {
        "stack": stack,
        **told,
        "exit": stopped,
        "audited": audited.total(),
        "as handed in": audited == Counter(ids),
    }


async def _served(
    system: Up, trouble: Trouble, titles: Sequence[Title]
) -> tuple[list[str], dict[str, object]]:
    troubled = asyncio.create_task(trouble.run())
    async with Client(system.url) as client:

        async def submit(number: int) -> str:
            return await submit_patiently(client, job_for(titles[number]), f"title-{number}")

        async def submit_in_turn(number: int) -> str:
            await asyncio.sleep(number / PER_S)
            return await submit(number)

        numbers = range(len(titles))
        ids = await asyncio.gather(*map(submit_in_turn, numbers))
        troubled.cancel()
        again = [await submit(number) for number in numbers]
        ended = [await client.ended(job_id) for job_id in ids]
    right = sum(job.text == title.category for job, title in zip(ended, titles, strict=True))
    return ids, {
        "jobs": len(set(ids)),
        "same job for the same key": ids == again,
        **trouble.made,
        "states": dict(Counter(job.status for job in ended)),
        "right": right,
    }


def is_well(found: Mapping[str, object], jobs: int) -> bool:
    """Whether every job ended once, with a result."""
    return bool(
        found["states"] == {JobState.SUCCEEDED: jobs}
        and found["as handed in"]
        and found["same job for the same key"]
    )


def main() -> int:
    """Run a stack; 0 if all is well."""
    parser = argparse.ArgumentParser(prog="tests.e2e.stacks", description=__doc__)
    parser.add_argument("stack", choices=STACKS)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    build_proton(wanted=options.stack == "azure")
    try:
        found = asyncio.run(run(options.stack, options.jobs, random.Random(options.seed)))
    except NoOtherHostError as error:
        sys.exit(f"no other host, which all stacks but sqlite need: {error}")
    sys.stdout.write(json.dumps({"seed": options.seed, **found}, indent=2) + "\n")
    return 0 if is_well(found, options.jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
