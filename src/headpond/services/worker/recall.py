"""Recall: which of the requests that were pulled need the engine at all.

An answer that is remembered settles its job at once. Of equal requests one is asked, and the others
wait beside it, as twins, and get its answer. Neither keeps a place at the engine, nor says anything
of it: the gate and the isolation of suspects hear of requests that were asked, and of no other.

Where the one asked gets no answer worth remembering, its twins go back to their lane, uncharged. If
that was the request's own doing, such requests are each asked for themselves for a while: they may
be refused or fail together, and nobody waits in vain twice. A suspect job is no twin and has none.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec

from headpond.domain.facts import CacheAsked
from headpond.domain.fingerprint import Fingerprint
from headpond.domain.known_answer import KnownAnswer
from headpond.domain.outcome import Misconfigured, NotNow, Outcome, Settlement
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim
from headpond.ports.events import Listener
from headpond.ports.queue import LeaseToken
from headpond.services.answers import Answers
from headpond.services.complaints import failure
from headpond.services.remembered import Remembered
from headpond.services.worker.settling import Settling

APART_S = 60.0
MOST_APART = 1_024


class _Question(msgspec.Struct):
    """What equal requests have in common, from when the first is asked until the cache knows.

    `answer` is there once one of them has it.
    """

    asked: set[LeaseToken] = msgspec.field(default_factory=set[LeaseToken])
    twins: dict[LeaseToken, Claim] = msgspec.field(default_factory=dict[LeaseToken, Claim])
    answer: KnownAnswer | None = None


class Recall:
    """One per worker, whose engine is called `engine`. Without `answers`, all need the engine."""

    def __init__(
        self,
        answers: Answers | None,
        *,
        engine: str,
        settling: Settling,
        clock: Clock,
        listener: Listener,
    ) -> None:
        self._answers = answers
        self._engine = engine
        self._settling = settling
        self._clock = clock
        self._listener = listener
        self._questions: dict[Fingerprint, _Question] = {}
        self._asked: dict[LeaseToken, Fingerprint] = {}
        self._apart = Remembered[Fingerprint, bool](clock, ttl_s=APART_S, limit=MOST_APART)
        self._puts: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> list[Claim]:
        """Claims of twins."""
        return [twin for question in self._questions.values() for twin in question.twins.values()]

    def places(self, limit: int) -> int:
        """How many of a worker's `limit` places twins take: none, unless there are more of them."""
        return max(0, len(self.waiting) - limit)

    async def unanswered(self, claims: Sequence[Claim]) -> list[Claim]:
        """Those that the engine is to be asked for, now; `ended` is to be called for each.

        Whatever fails here, each claim is one of them or in our hands.
        """
        if self._answers is None:
            return [*claims]
        asked = await asyncio.gather(
            *(self._asks_at_least(claim, self._answers) for claim in claims)
        )
        return [claim for claim, asks in zip(claims, asked, strict=True) if asks]

    def ended(self, claim: Claim, outcome: Outcome | None) -> None:
        """What became of a request at the engine; None if it was aborted."""
        name = self._asked.pop(claim.lease.token, None)
        if name is None or self._answers is None:
            return
        question = self._questions[name]
        question.asked.discard(claim.lease.token)
        answer = KnownAnswer.of(outcome, engine=self._engine)
        if answer is not None:
            self._spread(name, question, answer, self._answers)
        elif not question.asked and question.answer is None:
            del self._questions[name]
            if not isinstance(outcome, NotNow | Misconfigured | None):  # those say nothing of it
                self._apart.put(name, value=True)
            self._settling.write_soon(
                [
                    (twin, Settlement(job=twin.job.returned(charged=False)))
                    for twin in question.twins.values()
                ]
            )

    def dropped(self, claim: Claim) -> bool:
        """A claim is no longer ours; False if it did not wait here."""
        return any(
            question.twins.pop(claim.lease.token, None) is not None
            for question in self._questions.values()
        )

    async def finish(self) -> None:
        """Wait until what is to be remembered is, or cannot be."""
        if self._puts:
            await asyncio.wait(self._puts)

    async def _asks_at_least(self, claim: Claim, answers: Answers) -> bool:
        try:
            return await self._asks(claim, answers)
        except Exception as error:  # noqa: BLE001 - whatever it is, the engine can answer
            self._listener.hear(failure("cache", error))
            return True

    async def _asks(self, claim: Claim, answers: Answers) -> bool:
        name = answers.name_of(claim.job, claim.request)
        if name is None:
            return True
        if self._joins(name, claim, answers):
            return False
        answer = await answers.get(name)
        if answer is not None:
            self._answer(claim, answer, "hit", answers)
            return False
        if self._joins(name, claim, answers):  # an equal request came first
            return False
        self._questions.setdefault(name, _Question()).asked.add(claim.lease.token)
        self._asked[claim.lease.token] = name
        self._listener.hear(CacheAsked(claim.job, "miss"))
        return True

    def _joins(self, name: Fingerprint, claim: Claim, answers: Answers) -> bool:
        """Whether an equal request has just been answered, or can be waited for."""
        question = self._questions.get(name)
        if question is None:
            return False
        if question.answer is not None:
            self._answer(claim, question.answer, "coalesced", answers)
            return True
        if self._apart.get(name):
            return False
        question.twins[claim.lease.token] = claim
        return True

    def _spread(
        self, name: Fingerprint, question: _Question, answer: KnownAnswer, answers: Answers
    ) -> None:
        question.answer = answer
        for twin in question.twins.values():
            self._answer(twin, answer, "coalesced", answers)
        question.twins.clear()
        put = asyncio.create_task(self._put(name, question, answer, answers), name="remember")
        self._puts.add(put)
        put.add_done_callback(self._puts.discard)

    def _answer(
        self,
        claim: Claim,
        answer: KnownAnswer,
        result: Literal["hit", "coalesced"],
        answers: Answers,
    ) -> None:
        self._listener.hear(CacheAsked(claim.job, result))
        settlement = answer.settlement(
            claim.job, self._clock.now(), model_version=answers.model_version
        )
        self._settling.write_soon([(claim, settlement)])

    async def _put(
        self, name: Fingerprint, question: _Question, answer: KnownAnswer, answers: Answers
    ) -> None:
        await answers.put(name, answer)
        question.answer = None
        if not question.asked and self._questions.get(name) is question:
            del self._questions[name]
