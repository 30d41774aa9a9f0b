"""Writes the table of what each queue can do and takes, told by itself, into docs/backends.md.

uv run python tools/queue_powers.py
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from headpond.adapters.aws.queue import SqsQueue
from headpond.adapters.azure.queue import ServiceBusQueue
from headpond.adapters.gcp.queue import PubsubQueue
from headpond.adapters.postgres.queue import PostgresQueue
from headpond.adapters.redis.queue import RedisQueue
from headpond.adapters.sqlite.queue import SqliteQueue
from headpond.domain.queue_limits import Limits, span
from headpond.ports.queue import Power, Queue

PAGE = Path(__file__).parents[1] / "docs/backends.md"
BEGIN, END = "<!-- Written by tools/queue_powers.py. -->\n", "<!-- To here. -->\n"
QUEUES: Mapping[str, type[Queue]] = {
    "SQLite": SqliteQueue,
    "PostgreSQL": PostgresQueue,
    "Redis": RedisQueue,
    "SQS": SqsQueue,
    "Pub/Sub": PubsubQueue,
    "Service Bus": ServiceBusQueue,
}
LIMITS: Mapping[str, Callable[[Limits], str]] = {
    "longest lease": lambda limits: span(limits.lease_s),
    "longest delay of what is sent, by itself": lambda limits: span(limits.delay_s),
    "keeps what waits for": lambda limits: span(limits.keep_s),
    "hands a message out so many times": lambda limits: times(limits.deliveries),
}


def times(number: float) -> str:
    """How often, in words."""
    return "any" if math.isinf(number) else f"{number:,.0f}"


def written(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def table() -> str:
    """A row for each power and each limit, a column for each queue."""
    rows = [["it", *QUEUES], ["---"] * (len(QUEUES) + 1)]
    rows += [
        [power, *(queue.lacks.get(power, "yes") for queue in QUEUES.values())] for power in Power
    ]
    rows.append(["counts a job's attempts", *("the record does" for _ in QUEUES)])
    rows += [
        [what, *(told(queue.limits) for queue in QUEUES.values())] for what, told in LIMITS.items()
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
