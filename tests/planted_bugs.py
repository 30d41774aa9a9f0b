"""Bugs to plant: whatever claims to prove something must find them.

`tests/model` looks for those of the stores with random histories, `tests/simulation` for these and
those of the services with whole worlds.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from headpond.adapters.aws.fleet import EcsFleet
from headpond.adapters.documents import records as documents
from headpond.adapters.documents.bodies import DocumentBodies
from headpond.adapters.documents.table import Change, Write
from headpond.adapters.gcp import queue as pubsub
from headpond.adapters.handles.leases import Leases
from headpond.adapters.kubernetes.fleet import KubernetesFleet
from headpond.adapters.local.fleet import LocalFleet
from headpond.adapters.sqlite import delivery, jobs, lanes, records, schema, shares
from headpond.domain.claim import judge
from headpond.domain.fairness import charge
from headpond.domain.job import Job, JobId
from headpond.domain.outcome import Settlement
from headpond.ports.delivery import Claim
from headpond.ports.queue import Lease
from headpond.services import two_step_delivery
from headpond.services.two_step_delivery import TwoStepDelivery

Plant = Callable[[pytest.MonkeyPatch], None]


def statement(module: Any, name: str, old: str, new: str) -> Plant:
    """`old` in the statement `name` becomes `new`."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        inner: Callable[[str], str] = module.sql
        assert old in inner(name)

        def changed(asked: str) -> str:
            return inner(asked).replace(old, new) if asked == name else inner(asked)

        patch.setattr(module, "sql", changed)

    return plant


def migration(old: str, new: str) -> Plant:
    """`old` in the schema becomes `new`."""
    steps = schema.migrations()
    assert any(old in step for step in steps)
    return lambda patch: patch.setattr(
        schema, "migrations", lambda: [step.replace(old, new) for step in steps]
    )


def replacing(where: object, name: str, new: Any) -> Plant:
    """Another function in its place."""
    return lambda patch: patch.setattr(where, name, new)


def changing(where: Any, name: str, change: Callable[[Any], Any]) -> Plant:
    """The function that is there, wrapped."""
    return lambda patch: patch.setattr(where, name, change(getattr(where, name)))


def both(*plants: Plant) -> Plant:
    """One bug in two places."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        for one in plants:
            one(patch)

    return plant


def _send_first(send: Callable[..., None]) -> Callable[..., None]:
    def send_first(connection: object, messages: Sequence[object], **options: float) -> None:
        send(connection, messages[:1], **options)

    return send_first


def _limit_per_lane(receive: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    def receive_each(connection: object, looked: Sequence[object], **options: float) -> list[Any]:
        return [lease for lane in looked for lease in receive(connection, [lane], **options)]

    return receive_each


def _judge_any_ticket(job: Job | None, ticket: Any, **facts: Any) -> Any:
    return judge(job, ticket if job is None else job.ticket, **facts)


def _judge_at_the_beginning_of_time(job: Job | None, ticket: Any, **facts: Any) -> Any:
    timeless = None if job is None else replace(job, deadline=None)
    return judge(timeless, ticket, **facts)


def _judge_without_bound(job: Job | None, ticket: Any, **facts: Any) -> Any:
    facts["max_lost_leases"] = 1_000
    return judge(job, ticket, **facts)


async def _renew_whatever_is_leased(self: Any, claims: Sequence[Claim]) -> list[Claim]:
    def renew(connection: Any) -> list[Claim]:
        kept = lanes.extend(
            connection,
            [claim.lease for claim in claims],
            now=self._clock.now(),
            lease_s=self._lease_s,
        )
        return [claim for claim in claims if claim.lease in kept]

    return await self._database.write(renew)


def _add_always(add: Callable[..., Any]) -> Callable[..., Any]:
    def add_always(connection: Any, news: Any, now: float) -> Any:
        add(connection, news, now)
        return [two_step_delivery.Added(new.job) for new in news]

    return add_always


def _claimed_and_charged(claimed: Callable[..., Job]) -> Callable[..., Job]:
    def charged(self: Job, worker: str, now: float) -> Job:
        return replace(claimed(self, worker, now), attempts=self.attempts + 1)

    return charged


async def _settle_after_ack(self: Any, claim: Claim, settlement: Settlement) -> bool:
    await self._queue.ack([claim.lease])
    return await self._jobs.swap(settlement.job, settlement.response)


async def _settle_whatever_stands(self: Any, claim: Claim, settlement: Settlement) -> bool:
    stands = await self._jobs.get(claim.job.id)
    await self._jobs.swap(replace(settlement.job, version=stands.version + 1))
    await self._queue.ack([claim.lease])
    return True


def _replace_whatever_stands(replace_all: Callable[..., Any]) -> Callable[..., Any]:
    def replace_each(connection: Any, afters: Sequence[Job]) -> list[Any]:
        found = [(after, records.get(connection, after.id)) for after in afters]
        moved = [replace(after, version=stands.version + 1) for after, stands in found if stands]
        return replace_all(connection, moved)

    return replace_each


def _charge_without_weight(work_tokens: int, _: float) -> float:
    return charge(work_tokens, 1.0)


def _charge_by_number(_: int, weight: float) -> float:
    return charge(1, weight)


def _same(_: int) -> str:
    return "same"


def _nothing(*_: object, **__: object) -> None:
    """Does not do what it should."""


def _reissued_as_it_was(self: Any, _: object) -> Job:
    return self._next()


QUEUE_BUGS: dict[str, Plant] = {
    "a leased message is handed out again": statement(
        lanes, "lease", "token = ?", "token = substr(?, 99) || token"
    ),
    "a leased message is handed out at once": statement(
        lanes, "due_messages", "visible_at <= :now", "visible_at <= :now + 1.0"
    ),
    "a delayed message is handed out": replacing(lanes, "DELAYED", None),
    "a lease never lapses": both(
        statement(lanes, "due_messages", "token IS NOT NULL", "token = ''"),
        statement(lanes, "next_visible", "token IS NOT NULL", "token = ''"),
    ),
    "a lease lapses a moment late": both(
        statement(lanes, "due_messages", "visible_at <= :now", "visible_at < :now"),
        statement(lanes, "next_visible", "min(visible_at)", "min(visible_at) + 0.001"),
    ),
    "the newest goes first": statement(
        shares, "ready_of_team", "seq > ?\nORDER BY seq", "seq > ?\nORDER BY seq DESC"
    ),
    "a look at a team's messages begins anew": statement(
        shares, "ready_of_team", "seq > ?", "? IS NOT NULL"
    ),
    "a team's tag is not advanced": statement(
        shares, "charge_team", "tag = :tag", "tag = min(tag, :tag)"
    ),
    "weights are ignored": replacing(shares, "charge", _charge_without_weight),
    "every message costs the same": replacing(shares, "charge", _charge_by_number),
    "the lane's virtual time stands still": statement(
        shares, "advance_lane", "(?, ?)", "(?, 0.0 * ?)"
    ),
    "virtual time is no floor for a team that comes": migration(
        "coalesce((SELECT virtual_time FROM lanes WHERE lane = new.lane), 0.0)", "0.0"
    ),
    "a team with more ready is passed over": statement(
        shares, "charge_team", "token IS NULL", "token = 'never'"
    ),
    "a message that lapsed is not noted": migration(
        "AFTER UPDATE OF token", "AFTER UPDATE OF job_id"
    ),
    "a team ahead of the others is forgotten": statement(
        shares, "forget_teams", "AND tag <= (SELECT virtual_time FROM lanes WHERE lane = :lane)", ""
    ),
    "what was dropped or given back is charged": replacing(shares, "refund", _nothing),
    "every receipt has the same token": replacing(lanes.secrets, "token_hex", _same),
    "ack ignores the token": statement(lanes, "ack", "token = ?", "? IS NOT NULL"),
    "ack ignores the lapse": statement(lanes, "ack", "visible_at > ?", "? IS NOT NULL"),
    "extend ignores the token": statement(lanes, "extend", "token = ?", "? IS NOT NULL"),
    "extend ignores the lapse": statement(lanes, "extend", "visible_at > ?", "? IS NOT NULL"),
    "extend does nothing": statement(
        lanes, "extend", "SET visible_at = ?", "SET visible_at = max(visible_at, 0 * ?)"
    ),
    "give_back ignores the token": statement(lanes, "held", "token = ?", "? IS NOT NULL"),
    "give_back ignores the lapse": statement(lanes, "held", "visible_at > ?", "? IS NOT NULL"),
    "give_back leaves the token": statement(
        lanes, "give_back", "CASE WHEN :delay_s > 0 THEN '' END", "token"
    ),
    "depth takes lapsed leases for leased": statement(
        lanes, "depth", "visible_at > :now AND token <> ''", "token <> ''"
    ),
    "send is given up after the first message": replacing(lanes, "send", _send_first(lanes.send)),
    "the limit counts for each lane": replacing(lanes, "receive", _limit_per_lane(lanes.receive)),
}


DELIVERY_BUGS: dict[str, Plant] = {
    "settle is not fenced": replacing(
        records, "replace_all", _replace_whatever_stands(records.replace_all)
    ),
    "a key never expires": statement(
        records, "get_key", "idempotency_keys.expires_at > ?", "? IS NOT NULL"
    ),
    "a key expires at once": statement(
        records, "get_key", "(idempotency_keys.expires_at > ? OR", "(? IS NULL OR"
    ),
    "a key expires while its job waits": statement(records, "get_key", "OR ", "AND 0 AND "),
    "keys of two teams meet": statement(
        records, "get_key", "idempotency_keys.team = ?", "? IS NOT NULL"
    ),
    "the first fingerprint is forgotten": statement(
        records, "get_key", "idempotency_keys.fingerprint", "'y'"
    ),
    "two retries find one job": statement(
        records, "take_try", "number = ?", "number = max(number, ? * 0)"
    ),
    "a try is taken for its own retry": statement(
        records, "earlier_try", "number < :number", "number <= :number"
    ),
    "a retry goes on with any job": statement(
        records, "earlier_try", "tries.number DESC, seq DESC", "seq"
    ),
    "the response is not kept": statement(
        records, "insert_response", "VALUES (?, ?)", "SELECT ?, ? WHERE 0"
    ),
    "the end of a job is not written": statement(
        records, "replace_job", "finished_at = ?,", "finished_at = max(?, NULL),"
    ),
    "an overdue job is not due": statement(
        jobs, "overdue_jobs", "deadline <= :now", "deadline < :now"
    ),
    "a job that is queued is due": statement(jobs, "unqueued_jobs", "state = 'accepted' AND", ""),
    "a claim ignores the ticket": replacing(delivery, "judge", _judge_any_ticket),
    "a claim ignores the deadline": replacing(delivery, "judge", _judge_at_the_beginning_of_time),
    "lost leases have no bound": replacing(delivery, "judge", _judge_without_bound),
    "a dropped message stays": both(
        replacing(lanes, "ack", _nothing), replacing(lanes, "drop", _nothing)
    ),
    "a cancelled claim is renewed": replacing(
        delivery.SqliteDelivery, "renew", _renew_whatever_is_leased
    ),
    "a message is sent for a key that is known": replacing(
        records, "add", _add_always(records.add)
    ),
}


SHARED_BUGS: dict[str, Plant] = {
    "every claim ignores the ticket": replacing(two_step_delivery, "judge", _judge_any_ticket),
    "a reissued job keeps its ticket": replacing(Job, "reissued", _reissued_as_it_was),
    "a job that is taken over is charged": replacing(
        Job, "claimed", _claimed_and_charged(Job.claimed)
    ),
    "settle releases first, whatever it then finds": replacing(
        TwoStepDelivery, "settle", _settle_after_ack
    ),
    "an end is written over": replacing(TwoStepDelivery, "settle", _settle_whatever_stands),
}
"""These change the model as well: only what must hold of every history can tell them."""


def _known(self: Leases, leases: Sequence[Lease]) -> list[Lease]:
    return [lease for lease in leases if lease.token in self]


def _at_once(body: Any) -> Any:
    def without_time(message: object, _: float | None) -> Any:
        return body(message)

    return without_time


def _never_hidden(_: object) -> Any:
    async def hide(_: object, leases: Sequence[Lease], __: float) -> list[Lease]:
        return list(leases)

    return hide


HANDLE_BUGS: dict[str, Plant] = {
    "a lease that lapsed holds": replacing(Leases, "held", _known),
    "an extension is forgotten": replacing(Leases, "prolong", _nothing),
    "what was acknowledged is held": replacing(Leases, "forget", _nothing),
    "what is delayed is handed out": changing(pubsub, "Body", _at_once),
    "what is given back stays hidden": changing(pubsub.PubsubQueue, "_hide", _never_hidden),
}
"""In what queues of clouds have in common, and in one of them."""


async def _nobody_is_chosen(*_: object) -> None:
    """The platform takes whom it likes."""


FLEET_BUGS: dict[str, Plant] = {
    "pods that are named to go may stay": replacing(KubernetesFleet, "_mark", _nobody_is_chosen),
    "tasks that are named to go may stay": replacing(EcsFleet, "_choose", _nobody_is_chosen),
    "a process that is wanted is not started": replacing(LocalFleet, "_start", _nothing),
}
"""In fleets, each in another one."""


def _changed_whatever_stands(changed: Callable[[Job], Change]) -> Callable[[Job], Change]:
    return lambda after: replace(changed(after), standing={})


def _response_forgotten(stored: Callable[..., Any]) -> Callable[..., Any]:
    async def forgetful(self: Any, job_id: JobId, kind: str, body: bytes) -> Sequence[Write]:
        return () if kind == "response" else await stored(self, job_id, kind, body)

    return forgetful


DOCUMENT_BUGS: dict[str, Plant] = {
    "a swap is not fenced by the version": changing(documents, "changed", _changed_whatever_stands),
    "a document without the response": changing(DocumentBodies, "stored", _response_forgotten),
}
"""In what stores of documents have in common."""
