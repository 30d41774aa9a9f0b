"""Which queues there are: name, class, environment and server of each.

The names stand apart from the classes so that the harness needs none of the peers installed: a
subject's module is imported only in the subject's own environment.
"""

from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.harness.environments import ARQ, HEADPOND, MAIN, SAQ, Environment

ServerKind = Literal["none", "redis-everysec", "redis-always", "postgres"]


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One line of the comparison; `subject` is `module:class` under benchmarks.subjects."""

    name: str
    subject: str
    environment: Environment = MAIN
    server: ServerKind = "none"


def _on_redis(name: str, subject: str, environment: Environment = MAIN) -> tuple[QueueEntry, ...]:
    """Return the two ways to run a queue on Redis: losing the last second, and losing nothing."""
    return (
        QueueEntry(f"{name}/everysec", subject, environment, "redis-everysec"),
        QueueEntry(f"{name}/always", subject, environment, "redis-always"),
    )


QUEUES: Final = (
    QueueEntry("headpond", "headpond:Headpond", HEADPOND),
    QueueEntry("headpond/no-worker", "headpond:HeadpondDelivery", HEADPOND),
    *_on_redis("headpond/redis", "headpond_redis:HeadpondRedis", HEADPOND),
    QueueEntry("bare_sqlite/claim-1", "bare_sqlite:BareSqlite"),
    QueueEntry("bare_sqlite/claim-64", "bare_sqlite:BareSqliteClaim64"),
    QueueEntry("huey", "huey:Huey"),
    QueueEntry("litequeue/normal", "litequeue:Litequeue"),
    QueueEntry("litequeue/full", "litequeue:LitequeueFull"),
    QueueEntry("persist-queue", "persist_queue:PersistQueue"),
    *_on_redis("dramatiq", "dramatiq:Dramatiq"),
    *_on_redis("taskiq", "taskiq:Taskiq"),
    *_on_redis("saq", "saq:Saq", SAQ),
    *_on_redis("streaq", "streaq:Streaq"),
    *_on_redis("arq", "arq:Arq", ARQ),
    *_on_redis("celery", "celery:CelerySubject"),
    QueueEntry("headpond/postgres", "headpond_postgres:HeadpondPostgres", HEADPOND, "postgres"),
    QueueEntry(
        "headpond/postgres/no-worker",
        "headpond_postgres:HeadpondPostgresDelivery",
        HEADPOND,
        "postgres",
    ),
    QueueEntry("bare_postgres/claim-64", "bare_postgres:BarePostgres", server="postgres"),
    QueueEntry("procrastinate", "procrastinate:Procrastinate", server="postgres"),
    QueueEntry("pgqueuer/batch-10", "pgqueuer:Pgqueuer", server="postgres"),
    QueueEntry("pgqueuer/batch-100", "pgqueuer:PgqueuerBatch100", server="postgres"),
)

# Ratios refer to the first of these that could be measured.
REFERENCES: Final = ("headpond", "bare_sqlite/claim-1")
