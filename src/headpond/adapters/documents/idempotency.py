"""Idempotency keys, and tries of SDKs, as items."""

import msgspec

from headpond.adapters.documents.records import agenda_of, job_of, key_of, readable
from headpond.adapters.documents.table import (
    Change,
    Delete,
    Item,
    Key,
    Put,
    Table,
    Write,
    at,
    expires,
    just_after,
    shard_of,
)
from headpond.domain.job import Job, JobId
from headpond.ports.jobs import HELD_ON_S, Existing, Idempotency, Try

AT_ONCE = 1_000
"""So many tries of equal requests are read in one call. Those that are over stay for days."""


class Known(msgspec.Struct, frozen=True):
    """A key as it is stored, with the record of its job."""

    item: Item
    job: Job

    def holds(self, now: float) -> bool:
        """Until its time is over, and until its job has ended."""
        return str(self.item["at"]) > just_after(now) or not self.job.state.terminal

    @property
    def existing(self) -> Existing:
        return Existing(self.job, str(self.item["fingerprint"]))


def key_item(team: str, idempotency: Idempotency, job_id: JobId) -> Item:
    """What is stored for a key."""
    pk = _pk(team, idempotency.key)
    return {
        "pk": pk,
        "sk": "-",
        "fingerprint": idempotency.fingerprint,
        "job": job_id,
        "agenda": agenda_of("key", shard_of(pk)),
        "at": at(idempotency.expires_at, pk),
    }


def key_write(item: Item, stale: Known | None) -> Write:
    """Store a key where there is none, or in the place of one that holds no more."""
    if stale is None:
        return Put(item, absent=True)
    to = {name: value for name, value in item.items() if name not in {"pk", "sk"}}
    standing = {name: stale.item[name] for name in ("job", "at")}
    return Change(Key(str(item["pk"])), to, standing)


async def known(table: Table, team: str, key: str) -> Known | None:
    """What is stored under a key, whether it holds or not."""
    item = await table.get(Key(_pk(team, key)))
    job = None if item is None else await table.get(key_of(JobId(str(item["job"]))))
    return None if item is None or job is None else Known(item, job_of(job))


def try_item(made: Try, job_id: JobId) -> Item:
    """What is stored of a try beside its job."""
    pk = f"try#{made.fingerprint}"
    return {
        "pk": pk,
        "sk": job_id,
        "number": made.number,
        "agenda": agenda_of("try", shard_of(job_id)),
        **_ending(made, job_id),
    }


async def retried(table: Table, again: Try, now: float) -> Existing | None:
    """Take over the job of an earlier try: as JobStore says."""
    pk = f"try#{again.fingerprint}"
    earlier = [
        (int(item["number"]), str(item["sk"]))
        for item in await _alive(table, pk, now)
        if int(item["number"]) < again.number
    ]
    for number, job_id in sorted(earlier, reverse=True):
        item = await table.get(key_of(JobId(job_id)))
        if item is None or not job_of(item).answers_tries:
            continue
        to = {"number": again.number, **_ending(again, job_id)}
        if not await table.write(Change(Key(pk, job_id), to, {"number": number})):
            return Existing(job_of(item), again.fingerprint)
    return None


async def forget_keys(table: Table, keys: list[Key], now: float) -> int:
    """Drop these keys, or hold on to those whose jobs have not ended; how many were dropped."""
    items = await table.get_many(keys)
    jobs = await table.get_many(list({key_of(JobId(str(item["job"]))) for item in items.values()}))
    forgotten = 0
    for item in items.values():
        key = Key(str(item["pk"]))
        job = jobs.get(key_of(JobId(str(item["job"]))).pk)
        if job is None or _ended(job):
            await table.write(Delete(key))
            forgotten += 1
        else:
            held_on = {"at": at(now + HELD_ON_S, key.pk)}
            await table.write(Change(key, held_on, {"at": item["at"]}))
    return forgotten


async def _alive(table: Table, pk: str, now: float) -> list[Item]:
    """Those that are not over, the newest first: what lies behind a page of others is over, too."""
    alive: list[Item] = []
    last = ""
    while True:
        page = await table.under(pk, last=last, reverse=True, limit=AT_ONCE)
        found = [item for item in page if str(item["at"]) > just_after(now) and item["sk"] != last]
        alive += found
        if not found or len(page) < AT_ONCE:
            return alive
        last = str(page[-1]["sk"])


def _ending(made: Try, job_id: str) -> Item:
    return {"at": at(made.expires_at, job_id), "expires": expires(made.expires_at)}


def _ended(item: Item) -> bool:
    job = readable(item)
    return job is not None and job.state.terminal


def _pk(team: str, key: str) -> str:
    return "key#" + msgspec.json.encode([team, key]).decode()
