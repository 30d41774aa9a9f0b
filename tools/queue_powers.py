"""Writes the table of what each queue can do into docs/backends.md, from the queues themselves.

uv run python tools/queue_powers.py
"""

from collections.abc import Mapping
from pathlib import Path

from headpond.adapters.aws.queue import SqsQueue
from headpond.adapters.azure.queue import ServiceBusQueue
from headpond.adapters.gcp.queue import PubsubQueue
from headpond.adapters.postgres.queue import PostgresQueue
from headpond.adapters.redis.queue import RedisQueue
from headpond.adapters.sqlite.queue import SqliteQueue
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


def written(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def table() -> str:
    """A row for each power, a column for each queue."""
    rows = [["it", *QUEUES], ["---"] * (len(QUEUES) + 1)]
    rows += [
        [power, *(queue.lacks.get(power, "yes") for queue in QUEUES.values())] for power in Power
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
