"""Readers of token streams: they are cut off, come back, and must not notice it in the text.

The events are numbered as the product's front doors do it: in the order in which they are played,
for each life of a job from another number on.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import TypeAlias, assert_never

from headpond.domain.deltas import text_of as words_of
from headpond.domain.job import Job, JobState
from headpond.errors import NotFound
from headpond.services.playback import Began, Delta, Done, Quiet, Restart
from headpond.testing.simulation.asking import AGAIN_S, Asker, NoAnswer
from headpond.testing.simulation.engine import is_answer
from headpond.testing.simulation.parts import GatewayPart
from headpond.testing.simulation.plan import Fault

LIFE = 1_000_000
QUIET_S = 3.0
HELD_S = 30.0
"""A connection does not last longer."""

MARGIN_S = 5.0

Event: TypeAlias = Delta | Restart | Done


class Cut(Exception):
    """The reader is not there any more."""


class Heard:
    """What one reader has of a stream; `forgot` once tokens were forgotten while it read."""

    def __init__(self) -> None:
        self.last = 0
        self.text = ""
        self.done: Job | None = None
        self.forgot = False
        self.events: dict[int, Event] = {}

    def add(self, number: int, event: Event) -> None:
        """One more."""
        self.last = number
        self.events[number] = event
        match event:
            case Delta(_, choices):
                self.text += words_of(choices)
            case Restart(_, forgotten):
                self.text = ""
                self.forgot |= forgotten
            case Done(job):
                self.done = job
            case _:  # pragma: no cover
                assert_never(event)

    @property
    def last_life(self) -> dict[int, Event]:
        """Its events since the job was last redriven."""
        began = self.last - self.last % LIFE
        return {number: event for number, event in self.events.items() if number > began}


class Connection:
    """One answer of a gateway, while it comes. `cut` is asked before each event."""

    def __init__(self, cut: Callable[[], bool]) -> None:
        self.open = True
        self._cut = cut

    def expect(self) -> None:
        """Raises Cut if nobody listens."""
        self.open = self.open and not self._cut()
        if not self.open:
            raise Cut


class Reader(Asker):
    """Reads the streams of a team."""

    async def read(self, job: Job) -> None:
        """Read the stream of the job to its end, if it has one, and then once more."""
        if not job.stream:
            return
        first, second = Heard(), Heard()
        await self._read_on_and_on(job, first)
        if first.done is None:
            return
        self._check_text(first)
        await self._read_on_and_on(job, second)
        if self._comparable(first, second) and first.last_life != second.last_life:
            self._fates.violated(f"{job.id} was streamed to two readers in two ways")

    async def _read_on_and_on(self, job: Job, heard: Heard) -> None:
        while heard.done is None:
            connection = Connection(self._leaves)
            follow = partial(self._follow, job=job, heard=heard, connection=connection)
            try:
                await self.ask(follow, within_s=HELD_S)
            except (NoAnswer, Cut):
                await asyncio.sleep(self._dice.choice(AGAIN_S))
            except NotFound:  # erased meanwhile
                return
            finally:
                connection.open = False

    def _leaves(self) -> bool:
        return self._fates.strikes(Fault.READER_LEFT, self._dice, times=5)

    async def _follow(
        self, gateway: GatewayPart, *, job: Job, heard: Heard, connection: Connection
    ) -> None:
        """Play what is above the last number; runs in the gateway."""
        job = await gateway.desk.job(job.id, self.identity)
        if job.erased_at is not None:
            raise NotFound("It was erased.", code="job_erased")
        after = heard.last
        number = first = len(job.deaths) * LIFE
        playing = gateway.playback.play(job, quiet_s=QUIET_S, resumed=after > first)
        async with aclosing(playing) as stream:
            async for played in stream:
                connection.expect()
                match played:
                    case Began() | Quiet():
                        continue
                    case Restart(_, forgotten) if forgotten:
                        number = after
                    case Done() if number + 1 < after:  # it has read tokens that are gone
                        number, heard.forgot = after, True
                    case Delta() | Restart() | Done():
                        pass
                    case _:  # pragma: no cover
                        assert_never(played)
                number += 1
                if number > after:
                    self._hear(job, heard, number, played)
        if job.state.terminal and heard.last == after:
            self._has_all(job, heard, events=after - first)

    def _has_all(self, job: Job, heard: Heard, *, events: int) -> None:
        """The gateway tells the reader not to come back.

        One event may have been a token that is gone, or the end of a job that told none.
        """
        kept_s = self._plan.stream_ttl_s - self._plan.skew_s - MARGIN_S
        forgotten = self._clock.now() - (job.finished_at or 0.0) > kept_s
        if job.state is JobState.SUCCEEDED or not forgotten or events > 1:
            self._fates.violated(f"{job.id} ended, and its reader was not told")
        heard.done, heard.forgot = job, True

    def _hear(self, job: Job, heard: Heard, number: int, event: Event) -> None:
        if number not in (heard.last + 1, len(job.deaths) * LIFE + 1):
            self._fates.violated(f"{job.id}: event {number} followed {heard.last}")
        if number % LIFE == 1:
            heard.text = ""
        heard.add(number, event)

    def _check_text(self, heard: Heard) -> None:
        job = heard.done
        if job is None or job.state is not JobState.SUCCEEDED:
            return
        if not is_answer(heard.text, job.metadata["order"]):
            self._fates.violated(f"{job.id} was streamed as {heard.text!r}")

    def _comparable(self, first: Heard, second: Heard) -> bool:
        """Whether both read the same life of the job, with its tokens."""
        one, other = first.done, second.done
        if one is None or other is None or one != other or first.forgot or second.forgot:
            return False
        kept_s = self._plan.stream_ttl_s - self._plan.skew_s - MARGIN_S
        return self._clock.now() - (one.finished_at or 0.0) < kept_s
