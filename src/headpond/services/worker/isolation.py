"""Isolation: an engine that fails with many requests in flight costs none of them an attempt.

What a request that got no answer is charged, its company decides, those that were in flight at the
engine beside it when it ended:

    it died                                        a suspect, nothing is charged
    it broke, and one of its company is answered   charged: the engine works
    it broke, and nobody was beside it             charged: it is the only one who can be at fault
    it broke, one of its company failed as well,
    and none was answered                          a suspect: the engine gives garbage to all

A broken request is held until that is known. Suspects stay in the worker's hands, with their leases
renewed, and the engine gets nothing else until they have been tried as `domain/suspects.py` says. A
job that comes from a worker that vanished is a suspect too: it may have taken the worker along.

When the engine turns out to fail with everybody (`domain/breaker.py`), nobody is kept: all go back
to their lanes, with what the engine said in their records. From then on a request that fails, alone
as it is, has lost a lease and lets others go first, so that no poison keeps the engine from proving
that it works again, and no job circles for ever.

Who is handed back before it was cleared is counted a lost lease, so whoever claims it isolates it.
"""

from collections.abc import Callable, Sequence
from typing import assert_never

import msgspec
from msgspec.structs import replace

from headpond.domain.facts import EngineFailed, JobConvicted
from headpond.domain.job import Job, JobError
from headpond.domain.outcome import (
    Answered,
    Broke,
    Died,
    Misconfigured,
    NotNow,
    Outcome,
    Refused,
    Settlement,
    settle,
)
from headpond.domain.retry import RetryPolicy, outage_s
from headpond.domain.suspects import Suspect, Suspects, Verdict, evidence, verdict
from headpond.ports.delivery import Claim
from headpond.ports.events import Listener
from headpond.ports.queue import LeaseToken
from headpond.services.worker.gate import Gate


class _Held(msgspec.Struct):
    """A request that got no answer. `company` are those beside it that have not ended yet."""

    suspect: Suspect[Claim]
    outcome: Died | Broke
    company: set[LeaseToken]
    shared: bool = False
    answered: bool = False

    @property
    def charged(self) -> bool:
        """The request is at fault, by itself."""
        if isinstance(self.outcome, Died):
            return False
        alone = not self.company and not self.shared and not self.suspect.failures
        return self.answered or alone

    @property
    def failed(self) -> bool:
        """The engine is at fault, or the request by way of the engine."""
        return isinstance(self.outcome, Died) or not (self.company or self.charged)


class Isolation:
    """The suspects in one worker's hands.

    `engine` is its name, `model_version` its pool's; `chance` as the worker's.
    """

    def __init__(
        self,
        engine: str,
        *,
        model_version: str | None,
        gate: Gate,
        retry: RetryPolicy,
        listener: Listener,
        chance: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._model_version = model_version
        self._gate = gate
        self._retry = retry
        self._listener = listener
        self._chance = chance
        self._in_flight: dict[LeaseToken, Suspect[Claim]] = {}
        self._on_trial: dict[LeaseToken, Suspect[Claim]] = {}
        self._held: dict[LeaseToken, _Held] = {}
        self._suspects: Suspects[Claim] = Suspects()
        self._others_answered = False

    @property
    def waiting(self) -> list[Claim]:
        """Claims in our hands that are not at the engine."""
        if self._idle:
            return []
        suspects = [held.suspect for held in self._held.values()]
        suspects += [each for token, each in self._on_trial.items() if token not in self._in_flight]
        return [suspect.who for suspect in suspects + self._suspects.everybody]

    @property
    def pending(self) -> bool:
        """True while the engine should get nothing but suspects."""
        return bool(self._suspects or self._on_trial) or self.failing

    @property
    def failing(self) -> bool:
        """True from the moment that the engine fails until that is judged."""
        return any(held.failed for held in self._held.values())

    def suspect(self, claims: Sequence[Claim]) -> None:
        """Their last worker vanished: they are tried together before anything else is run."""
        if claims and not self.pending:
            self._others_answered = False
        self._suspects = self._suspects.joined([_new_suspect(claim) for claim in claims])

    def began(self, claim: Claim) -> None:
        """A request that nobody suspects goes to the engine."""
        self._in_flight[claim.lease.token] = _new_suspect(claim)

    def ended(self, claim: Claim, outcome: Outcome | None) -> Outcome | None:
        """What to settle the claim with; None if there is nothing to settle, or not yet.

        The outcome is None when the request was aborted. What it says of others may make some of
        them `charged`.
        """
        suspect = self._in_flight.pop(claim.lease.token, None)
        if suspect is None:
            return None
        shared = self._tell_company(claim.lease.token, outcome) or self._gate.broken
        if isinstance(outcome, NotNow | Misconfigured) and claim.lease.token in self._on_trial:
            return None  # it did not run, so it is neither cleared nor accused
        self._on_trial.pop(claim.lease.token, None)
        match outcome:
            case Died() | Broke():
                held = _Held(suspect, outcome, set(self._in_flight), shared)
                if held.charged:
                    return outcome
                self._held[claim.lease.token] = held
                return None
            case Answered():
                self._others_answered = True
            case NotNow() | Misconfigured() | Refused() | None:
                pass
            case _:  # pragma: no cover
                assert_never(outcome)
        return outcome

    def charged(self) -> list[tuple[Claim, Outcome]]:
        """Those held whose fault it turned out to be, to be settled; they are held no more."""
        if not self._held:
            return []
        charged = [held for held in self._held.values() if held.charged]
        for held in charged:
            del self._held[held.suspect.who.lease.token]
        return [(held.suspect.who, held.outcome) for held in charged]

    def dropped(self, claim: Claim) -> bool:
        """A claim is no longer ours; False if it did not wait here."""
        waited = claim in self.waiting
        self._held.pop(claim.lease.token, None)
        self._on_trial.pop(claim.lease.token, None)
        self._suspects = self._suspects.without(lambda other: other is claim)
        return waited

    def judge(self, now: float) -> list[tuple[Claim, Settlement]]:
        """Take stock while nothing is in flight; returns what is to be written."""
        if self._idle:
            return []
        self._suspects = self._suspects.joined([*self._on_trial.values()])
        self._on_trial.clear()
        failed = bool(self._held)
        if failed:
            self._note_failure([*self._held.values()])
            self._held.clear()
        accused, self._suspects = self._suspects.judged()
        settled = [settled for suspect in accused for settled in self._sentence(suspect, now)]
        return settled + self.release() if failed and self._gate.broken else settled

    def next_group(self) -> list[Claim]:
        """Those to be run now, together and with nothing beside them; empty if nobody waits."""
        group, self._suspects = self._suspects.next()
        self._on_trial = {suspect.who.lease.token: suspect for suspect in group}
        self._in_flight |= self._on_trial
        return [suspect.who for suspect in group]

    def release(self) -> list[tuple[Claim, Settlement]]:
        """Everything that has not ended goes back, uncharged; what is suspect stays suspect."""
        held = self._held.values()
        suspects = [
            *(self._on_trial | self._in_flight).values(),
            *(one.suspect.failed(len(held)) if one.failed else one.suspect for one in held),
            *self._suspects.everybody,
        ]
        self._in_flight.clear()
        self._on_trial.clear()
        self._held.clear()
        self._suspects = Suspects()
        return [(suspect.who, Settlement(job=self._back(suspect))) for suspect in suspects]

    def _back(self, suspect: Suspect[Claim]) -> Job:
        """Marked, so that it is isolated wherever it goes; a mark that it came with stays.

        No mark is added beyond the bound: it has not been tried to the end, so it is not buried.
        """
        job = suspect.who.job
        why = JobError(suspect.last.code, suspect.last.reason) if suspect.failures else None
        marked = suspect.failures and job.lost_leases < self._retry.max_lost_leases
        return job.interrupted(why) if marked else job.returned(charged=False, why=why)

    @property
    def _idle(self) -> bool:
        """Nearly always true, and asked for often."""
        return not (self._held or self._on_trial or self._suspects)

    def _tell_company(self, token: LeaseToken, outcome: Outcome | None) -> bool:
        """Tell who is held how one beside it ended; True if there was anybody."""
        beside = [held for held in self._held.values() if token in held.company]
        for held in beside:
            held.company.discard(token)
            held.answered |= isinstance(outcome, Answered)
            held.shared |= isinstance(outcome, Died | Broke)
        return bool(beside)

    def _note_failure(self, held: Sequence[_Held]) -> None:
        if not self._suspects and not any(one.suspect.failures for one in held):
            self._others_answered = False
        self._suspects = self._suspects.failed(
            [replace(one.suspect, last=_as_death(one.outcome)) for one in held]
        )
        waiting, reason = len(self._suspects.everybody), held[0].outcome.reason
        self._listener.hear(EngineFailed(self._engine, len(held), waiting, reason))
        self._gate.engine_failed(reason)

    def _sentence(self, suspect: Suspect[Claim], now: float) -> list[tuple[Claim, Settlement]]:
        claim, last = suspect.who, suspect.last
        judged = verdict(suspect, others_answered=self._others_answered)
        match judged:
            case Verdict.AGAIN:
                self._suspects = self._suspects.joined([suspect])
                return []
            case Verdict.CONVICTED:
                message = f"{evidence(suspect)} Others were answered since. {last.reason}"
                error = JobError(last.code, message)
                dead = claim.job.buried(
                    now, error, engine=self._engine, model_version=self._model_version
                )
                settlement = Settlement(job=dead)
                self._listener.hear(JobConvicted(settlement.job))
            case Verdict.UNPROVEN:
                settlement = settle(
                    claim.job,
                    last,
                    engine=self._engine,
                    model_version=self._model_version,
                    now=now,
                    policy=self._retry,
                    chance=self._chance(),
                )
                if self._gate.broken:
                    delay_s = outage_s(self._retry, claim.job.lost_leases)
                    settlement = replace(settlement, delay_s=delay_s)
            case _:  # pragma: no cover
                assert_never(judged)
        return [(claim, settlement)]


def _new_suspect(claim: Claim) -> Suspect[Claim]:
    return Suspect(claim, claim.job.lost_leases)


def _as_death(outcome: Died | Broke) -> Died:
    return Died(outcome.reason, outcome.code)
