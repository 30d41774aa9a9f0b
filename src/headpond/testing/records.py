"""Records for tests, with what matters given and the rest filled in."""

from itertools import count
from random import Random
from string import ascii_lowercase, digits
from typing import Any

from headpond.domain.job import Job, JobId, Ticket
from headpond.domain.lane import Priority
from headpond.ports.jobs import Idempotency, NewJob

REQUEST = b'{"messages":[{"role":"user","content":"hello"}]}'
RESPONSE = b'{"choices":[{"message":{"role":"assistant","content":"hi"}}]}'

LONGEST = (
    "a" * 256,
    "\u968a" * 256,
    "".join(map(chr, Random(0).choices(range(0x20000, 0x2A000), k=256))),
    "%/|#" * 64,
    '"' * 256,
)
"""Names that a team may have: with letters of one, three and four bytes, which no compression
shortens, and with signs that are written otherwise."""

HOST = "".join(Random(0).choices(ascii_lowercase + digits, k=2_000))
"""Of a callback, longer than any may be by now: older releases took it, and their jobs have it."""

_numbers = count(1)


def a_job(**fields: Any) -> Job:
    """An accepted job of team `team` with an id that sorts after those before it."""
    number = next(_numbers)
    given: dict[str, Any] = {
        "id": JobId(f"job_{number:032x}"),
        "ticket": Ticket(f"ticket-{number}"),
        "team": "team",
        "pool": "default",
        "priority": Priority.BATCH,
        "model": "model",
        "accepted_at": 1_000_000.0,
    }
    return Job(**(given | fields))


def new_job(job: Job | None = None, *, key: str | None = None, fingerprint: str = "f") -> NewJob:
    """A job with a request body, under an idempotency key that holds for a day, if given."""
    idempotency = None if key is None else Idempotency(key, fingerprint, 1_000_000.0 + 86_400)
    return NewJob(job or a_job(), REQUEST, idempotency)
