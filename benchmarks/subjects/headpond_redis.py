"""Headpond with its queue on Redis and its records on SQLite: the delivery in two steps."""

from dataclasses import replace

from redis import Redis
from typing_extensions import override

from benchmarks.subjects.headpond import LEASE_S, Headpond, Pond, new_id, results_in
from benchmarks.subjects.subject import Facts
from headpond.adapters.local.clock import SystemClock
from headpond.adapters.redis.queue import RedisQueue
from headpond.adapters.redis.server import RedisServer
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.adapters.sqlite.streams import SqliteTokenStreams
from headpond.domain.job import Ticket
from headpond.services.two_step_delivery import TwoStepDelivery


class HeadpondRedis(Headpond):
    """The product's own worker, 64 jobs in flight."""

    @override
    def facts(self) -> Facts:
        durability = (
            f"records: SQLite, synchronous=FULL; queue: {self.assignment.server_durability}"
        )
        return replace(super().facts(), durability=durability)

    @override
    def open_producer(self) -> None:
        with Redis.from_url(self.assignment.server_url) as redis:
            redis.flushall()
        super().open_producer()

    @override
    async def _open(self) -> Pond:
        clock = SystemClock()
        database = Database(self.directory / "headpond.db")
        database.open()
        delivery = TwoStepDelivery(
            SqliteJobStore(database, clock),
            RedisQueue(RedisServer(self.assignment.server_url), clock),
            clock=clock,
            new_ticket=lambda: Ticket(new_id(clock)),
            lease_s=LEASE_S,
            max_lost_leases=5,
        )
        return Pond(clock, delivery, SqliteTokenStreams(database), results_in(database))
