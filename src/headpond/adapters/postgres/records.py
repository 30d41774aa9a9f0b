"""Job records in rows, and every change to them, as steps of a transaction."""

from collections.abc import Sequence

from headpond.adapters.postgres import dispatches
from headpond.adapters.postgres.connection import Connection, run, translated
from headpond.domain.fairness import charge
from headpond.domain.job import Job
from headpond.domain.stored import job_of, record_of
from headpond.ports.jobs import HELD_ON_S, Added, Existing, Idempotency, NewJob, Try

Stored = Added | Existing


async def add(
    connection: Connection, news: Sequence[NewJob], now: float, *, queued: bool
) -> list[Stored | BaseException]:
    """Add records with their requests, and messages if they are `queued`; or find what stands.

    Those for which no earlier try has to be looked for are added in one transaction, the others
    after them in one each: what fails there is returned.
    """
    plain = [new for new in news if not _looks_back(new)]
    stored = iter(await _add_all(connection, plain, now, queued=queued))
    return [
        await _add_try(connection, new, now, queued=queued) if _looks_back(new) else next(stored)
        for new in news
    ]


def _looks_back(new: NewJob) -> bool:
    """Whether it may be a try of a job that is there."""
    return isinstance(new.idempotency, Try) and new.idempotency.number > 0


async def _add_try(
    connection: Connection, new: NewJob, now: float, *, queued: bool
) -> Stored | BaseException:
    assert isinstance(new.idempotency, Try)  # noqa: S101 - it looks back
    try:
        async with connection.transaction():
            existing = await retried(connection, new.idempotency, now)
            if existing is not None:
                return existing
            return (await _add_all(connection, [new], now, queued=queued))[0]
    except Exception as error:  # noqa: BLE001 - it goes to whoever asked
        return translated(error)


async def _add_all(
    connection: Connection, news: Sequence[NewJob], now: float, *, queued: bool
) -> list[Stored]:
    if not news:
        return []
    if any(new.job.state.terminal for new in news):
        async with connection.transaction():
            added = await _insert(connection, news, now, queued=queued)
            await dispatches.tell_ends(connection, [news[place].job for place in sorted(added)])
    else:
        added = await _insert(connection, news, now, queued=queued)
    return [
        Added(new.job) if place in added else await _standing(connection, new, now)
        for place, new in enumerate(news)
    ]


async def _insert(
    connection: Connection, news: Sequence[NewJob], now: float, *, queued: bool
) -> set[int]:
    """Add what can be added; the places of those that were."""
    jobs = [new.job for new in news]
    given = [new.idempotency for new in news]
    ((places,),) = await run(
        connection,
        "add_jobs",
        now,
        [job.id for job in jobs],
        [job.version for job in jobs],
        [job.team for job in jobs],
        [job.model for job in jobs],
        [job.state.value for job in jobs],
        [job.accepted_at for job in jobs],
        [job.deadline for job in jobs],
        [job.finished_at for job in jobs],
        [job.batch for job in jobs],
        [record_of(job) for job in jobs],
        [new.request for new in news],
        [one.key if isinstance(one, Idempotency) else None for one in given],
        [None if one is None else one.fingerprint for one in given],
        [one.number if isinstance(one, Try) else None for one in given],
        [None if one is None else one.expires_at for one in given],
        [str(job.lane) if queued else None for job in jobs],
        [job.ticket for job in jobs],
        [job.work_tokens for job in jobs],
        [job.weight for job in jobs],
        [charge(job.work_tokens, job.weight) for job in jobs],
    )
    return {place - 1 for place in places or ()}


async def _standing(connection: Connection, new: NewJob, now: float) -> Existing:
    """What stands for a job that was not added: its key's job, or the one of its id."""
    if isinstance(new.idempotency, Idempotency):
        existing = await known(connection, new.job.team, new.idempotency.key, now)
        if existing is not None:
            return existing
    ((record,),) = await run(connection, "get_job", new.job.id)
    return Existing(job_of(record), "")


async def known(connection: Connection, team: str, key: str, now: float) -> Existing | None:
    """What a team's idempotency key stands for, None if it holds no more."""
    rows = await run(connection, "get_key", team, key, now)
    return Existing(job_of(rows[0][1]), rows[0][0]) if rows else None


async def retried(connection: Connection, again: Try, now: float) -> Existing | None:
    """Take over the job of an earlier try, None if there is none."""
    await run(connection, "lock_tries", again.fingerprint)
    rows = await run(connection, "take_try", again.fingerprint, again.number, now, again.expires_at)
    return Existing(job_of(rows[0][0]), again.fingerprint) if rows else None


async def forget_keys(connection: Connection, now: float, limit: int) -> int:
    """Drop expired keys and tries, at most `limit` of each; hold keys whose jobs have not ended."""
    expired = await run(connection, "expired_keys", now, limit)
    gone = [(team, key) for team, key, ended in expired if ended]
    held = [(team, key) for team, key, ended in expired if not ended]
    await run(connection, "forget_keys", *_columns(gone))
    await run(connection, "hold_keys", *_columns(held), now + HELD_ON_S)
    tries = await run(connection, "forget_tries", now, limit)
    return len(gone) + len(tries)


def _columns(keys: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [team for team, _ in keys], [key for _, key in keys]


async def swap(connection: Connection, after: Job, response: bytes | None = None) -> bool:
    """Replace the record iff its version is one below that of `after`; nobody is told."""
    rows = await run(
        connection,
        "swap_jobs",
        [after.id],
        [after.version],
        [after.state.value],
        [after.finished_at],
        [record_of(after)],
        [response],
    )
    return bool(rows)


async def swap_and_tell(connection: Connection, after: Job, response: bytes | None = None) -> bool:
    """As `swap`, in a transaction, with the dispatches of its event if the job ends with this."""
    swapped = await swap(connection, after, response)
    if swapped:
        await dispatches.tell_ends(connection, [after])
    return swapped


async def erase(connection: Connection, after: Job) -> bool:
    """Replace the record as `swap` does, and remove its bodies. It has ended before: no event."""
    swapped = await swap(connection, after)
    if swapped:
        await run(connection, "erase_bodies", after.id)
    return swapped
