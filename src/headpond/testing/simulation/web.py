"""The web as webhooks find it: receivers that are well, that fail, that are gone; and what came.

Each team has an endpoint of its own at a receiver that is there to the end, another at a fickle one
that may answer 410, and callbacks at a third.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
from typing_extensions import override

from headpond.domain.batch import Batch
from headpond.domain.dispatch import Reaction, Replied, Unreached
from headpond.domain.job import Job, JobId, JobState
from headpond.domain.webhook_event import Event, EventId, EventType, batch_event, job_event
from headpond.domain.webhook_signature import Secret, signed_headers
from headpond.ports.receiver import Receiver
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.plan import TEAMS, Fault
from headpond.testing.simulation.processes import Process
from headpond.testing.simulation.stores import Store
from headpond.testing.virtual_time import LoopClock

TIMEOUT_S = 4.0
SCHEDULE_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""Longer than a storm: what a receiver that is well in the end was not told is a broken promise."""

WHOLE_S = 1.0
"""What webhooks tell of times is cut to this."""

LATENCIES_S = (0.0, 0.05, 1.0)
EVERYTHING = tuple(EventType)


def well(team: str) -> str:
    """The URL of the team's receiver that is well in the end."""
    return f"https://{team}.example/well"


def fickle(team: str) -> str:
    """The URL of the one that may be gone."""
    return f"https://{team}.example/fickle"


def callback(team: str) -> str:
    """The URL that jobs bring along."""
    return f"https://{team}.example/callback"


class _Told(msgspec.Struct, frozen=True):
    created_at: int


class Web:
    """For each URL, the bodies that arrived there by their `webhook-id`, and what it accepted."""

    def __init__(self, fates: Fates, store: Store) -> None:
        self._arrived: defaultdict[str, dict[EventId, bytes]] = defaultdict(dict)
        self._accepted: set[tuple[str, EventId]] = set()
        self.gone: set[str] = set()
        self._closed_at: dict[str, float] = {}
        self._secrets: defaultdict[str, set[Secret]] = defaultdict(set)
        self._fates = fates
        self._store = store
        self._dice = fates.dice("web")

    async def receive(self, url: str, headers: Mapping[str, str], body: bytes) -> Reaction:
        """A POST; what the sender makes of it."""
        arrives, reaction, after_s = self._fate(url)
        await asyncio.sleep(after_s)
        if arrives:
            await self._arrive(url, headers, body)
        if reaction.ok:
            self._accepted.add((url, EventId(headers["webhook-id"])))
        return reaction

    async def look(self) -> None:
        """See how the endpoints stand: which are disabled or gone, and what they sign with."""
        endpoints = [one for team in TEAMS for one in await self._store.endpoints.of_team(team)]
        for endpoint in endpoints:
            self._secrets[endpoint.team] |= {signer.secret for signer in endpoint.signers}
        enabled = {one.url for one in endpoints if one.disabled_at is None}
        now = LoopClock().now()
        self._closed_at = {
            url: self._closed_at.get(url, now) for url in map(fickle, TEAMS) if url not in enabled
        }

    def back(self, url: str) -> None:
        """The receiver is there again, and its endpoint about to be enabled."""
        self.gone.discard(url)
        self._closed_at.pop(url, None)

    def _fate(self, url: str) -> tuple[bool, Reaction, float]:
        """Whether it arrives, what is answered, and after how many seconds."""
        after_s = self._dice.choice(LATENCIES_S)
        if url in self.gone:
            return True, Replied(410), after_s
        if url.endswith("/fickle") and self._fates.strikes(Fault.RECEIVER_GONE, self._dice, 5):
            self.gone.add(url)
            return True, Replied(410), after_s
        if self._fates.strikes(Fault.RECEIVER_FAILED, self._dice, 10):
            return self._dice.choice(
                (
                    (True, Replied(500), after_s),
                    (True, Replied(503, retry_after_s=3.0), after_s),
                    (False, Unreached("refused"), after_s),
                    (True, Unreached("it died before it answered"), after_s),
                    (True, Unreached("too slow"), TIMEOUT_S),
                )
            )
        return True, Replied(200), after_s

    async def _arrive(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        event_id = EventId(headers["webhook-id"])
        self._fates.note("web", f"{event_id} at {url}")
        if self._arrived[url].setdefault(event_id, body) != body:
            self._fates.violated(f"{event_id} came to {url} with two bodies")
        await self._check_open(url, event_id, body)
        if not await self._signed(url, headers, body):
            self._fates.violated(f"{event_id} came to {url} without a signature")

    async def _check_open(self, url: str, event_id: EventId, body: bytes) -> None:
        """What happened once an endpoint was disabled, or gone, does not go there."""
        if url in self._closed_at:
            await self.look()
            closed_at = self._closed_at.get(url, math.inf) + self._fates.plan.skew_s + WHOLE_S
            if msgspec.json.decode(body, type=_Told).created_at > closed_at:
                self._fates.violated(f"{event_id} came to {url}, which is disabled")

    async def _signed(self, url: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether a secret of the URL's team signed it, one that may be rotated out by now."""
        if self._signed_as_known(url, headers, body):
            return True
        await self.look()
        return self._signed_as_known(url, headers, body)

    def _signed_as_known(self, url: str, headers: Mapping[str, str], body: bytes) -> bool:
        event_id, stamp = headers["webhook-id"], int(headers["webhook-timestamp"])
        right = signed_headers(event_id, stamp, body, sorted(self._secrets[_team(url)]))
        signatures = set(headers["webhook-signature"].split())
        return not signatures.isdisjoint(right["webhook-signature"].split())

    def check(
        self, ends: Iterable[Job], records: Mapping[JobId, Job], batches: list[Batch]
    ) -> None:
        """Compare with what happened: `ends` is every end of a job that anybody saw."""
        told = [(job_event(job), job.callback) for job in ends if job.erased_at is None]
        told += [(batch_event(batch), None) for batch in batches if batch.status.ended]
        for event, wanted in told:
            self._check_told(event, well(event.team))
            if wanted is not None:
                self._check_told(event, wanted)
        happened = {event.id: event.body.encode() for event, _ in told}
        for url, arrived in self._arrived.items():
            for event_id, body in arrived.items():
                if event_id not in happened and not _was_dead(event_id, records):
                    self._fates.violated(f"{url} was told of {event_id}, which did not happen")
                elif happened.get(event_id, body) != body:
                    self._fates.violated(f"{url} was told another {event_id}")

    def _check_told(self, event: Event, url: str) -> None:
        if (url, event.id) not in self._accepted:
            self._fates.violated(f"{url} was not told of {event.id}, {event.type}")


def _team(url: str) -> str:
    return url.removeprefix("https://").partition(".")[0]


def _was_dead(event_id: EventId, records: Mapping[JobId, Job]) -> bool:
    """Whether the event may be a death that was over before anybody saw it."""
    name = event_id.removeprefix("msg_").partition("_")[0]
    job = records.get(JobId(f"job_{name}"))
    return job is not None and (bool(job.deaths) or job.state is JobState.FAILED)


class NoWeb(Receiver):
    """For who sends nothing."""

    @override
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reaction:
        raise NotImplementedError

    @override
    async def close(self) -> None:
        return


class WebLink(Receiver):
    """The web as a process reaches it: what was sent arrives, also when the process dies."""

    def __init__(self, web: Web, process: Process) -> None:
        self._web = web
        self._process = process

    @override
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reaction:
        posting = self._web.receive(url, headers, body)
        return await asyncio.shield(self._process.call_outside(posting, waits=False))

    @override
    async def close(self) -> None:
        return
