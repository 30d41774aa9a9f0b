"""The job record and its state machine.

Drawn in docs/state-machine.md, coded here and nowhere else. Each arrow is a verb of `Job` that
returns the record as it should be next, with `version` one higher. A store replaces a record only
while its version is still the one that was read, so `version` is also the fencing token: whoever
holds an old record can change nothing.

    accepted ──enqueued──▶ queued ──claimed──▶ running ──succeeded──▶ succeeded
                              ▲                   │ ──────failed────▶ failed
                              └─────returned──────┘ ──────buried────▶ dead
                               (or interrupted)
    any state before the end:  ──cancelled──▶ cancelled, ──expired──▶ expired,
                               ──reissued──▶ accepted (its message was lost)
    dead ──redriven──▶ accepted, ──discarded──▶ failed
"""

from enum import StrEnum
from typing import NewType

import msgspec
from msgspec.structs import replace

from headpond.domain.lane import Lane, Priority
from headpond.domain.quote import Quote

JobId = NewType("JobId", str)
BatchId = NewType("BatchId", str)
Ticket = NewType("Ticket", str)
"""Names one message of a job. A record honours only the ticket it was last queued under, so a
doubled or stale message is recognised and dropped."""


class JobState(StrEnum):
    """Where a job stands. The last five are terminal."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD = "dead"

    @property
    def terminal(self) -> bool:
        """True when the job will not change any more by itself."""
        return self in TERMINAL


TERMINAL = frozenset(
    {
        JobState.SUCCEEDED,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.EXPIRED,
        JobState.DEAD,
    }
)


class Usage(msgspec.Struct, frozen=True):
    """Tokens that the engine counted."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class JobError(msgspec.Struct, frozen=True):
    """Why a job ended without a result: a stable code and a sentence for people."""

    code: str
    message: str


class Death(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a job died that was redriven afterwards: what its record said then."""

    error: JobError | None
    finished_at: float | None
    attempts: int = 0
    lost_leases: int = 0
    engine: str | None = None
    model_version: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of one request, but for the bodies of request and response.

    Times are Unix seconds. `work_tokens` is an estimate at submit (prompt and answer), for limits
    and fairness; `weight` is what the team's weight was then, `quote` what the client was told.
    `attempts` counts runs that are charged to the job, the present one included; `lost_leases`
    counts workers and engines that vanished while they ran it, which is mostly not the job's fault
    but has its own bound. `engine` is the one whose word ended the job, and `model_version` its
    pool's for the model then; both stay None where no engine did. `confidence` is the probability
    of the whole answer, where the request asked for log-probabilities; `cut_short` is true of one
    that a limit or a filter of the engine ended, `cached` of one that was known already and kept no
    engine busy. `last_error` is why the job last went back to its lane, until it succeeds.
    `callback` is a URL to tell of the end; `stream` is true of a job whose tokens are told while it
    runs; `background` of a response that nobody waits for, and None of what is no response.
    `deaths` has one for each time that the job was redriven. `batch` is the one that the job is a
    line of.
    """

    id: JobId
    ticket: Ticket
    team: str
    feature: str | None = None
    pool: str
    priority: Priority
    model: str
    task_type: str | None = None
    metadata: dict[str, str] = {}
    batch: BatchId | None = None
    work_tokens: int = 0
    quote: Quote | None = None
    weight: float = 1.0
    max_attempts: int = 3
    deadline: float | None = None
    callback: str | None = None
    stream: bool = False
    background: bool | None = None
    accepted_at: float

    version: int = 1
    state: JobState = JobState.ACCEPTED
    attempts: int = 0
    lost_leases: int = 0
    worker: str | None = None
    engine: str | None = None
    model_version: str | None = None
    queued_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    usage: Usage | None = None
    confidence: float | None = None
    cut_short: bool = False
    cached: bool = False
    error: JobError | None = None
    last_error: JobError | None = None
    deaths: tuple[Death, ...] = ()
    erased_at: float | None = None

    @property
    def lane(self) -> Lane:
        """The queue that the job waits in."""
        return Lane(self.pool, self.priority)

    @property
    def answers_tries(self) -> bool:
        """False when a client that tries again would find nothing that it can use."""
        return self.state is not JobState.CANCELLED and self.erased_at is None

    @property
    def message_seen_at(self) -> float:
        """When the message was last known to be there: sent, ready, or received."""
        return max(self.accepted_at, self.queued_at or 0.0, self.started_at or 0.0)

    def awaits(self, ticket: Ticket) -> bool:
        """True as long as the message under this ticket is the one that counts."""
        return self.ticket == ticket and not self.state.terminal

    def overdue(self, now: float) -> bool:
        """True when the deadline has passed and the job has not ended."""
        return self.deadline is not None and now >= self.deadline and not self.state.terminal

    def enqueued(self, ready_at: float) -> "Job":
        """The job's message is in its lane, to be received from then on."""
        self._expect(JobState.ACCEPTED)
        return self._next(state=JobState.QUEUED, queued_at=ready_at)

    def reissued(self, ticket: Ticket) -> "Job":
        """A new message will stand for the job; the old one, if it exists, counts no more.

        A worker that runs the job has lost it with the message, and nobody is charged for that.
        """
        self._expect(JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING)
        attempts = self.attempts - (1 if self.state is JobState.RUNNING else 0)
        return self._next(state=JobState.ACCEPTED, ticket=ticket, attempts=attempts, worker=None)

    def claimed(self, worker: str, now: float) -> "Job":
        """A worker begins to run the job and is charged one attempt for it.

        An accepted job may be claimed too: its message can be faster than the note that it was
        sent. A running job is claimed again when its worker let the lease lapse.
        """
        self._expect(JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING)
        taken_over = self.state is JobState.RUNNING
        return self._next(
            state=JobState.RUNNING,
            worker=worker,
            queued_at=self.queued_at or now,
            started_at=now,
            attempts=self.attempts + (0 if taken_over else 1),
            lost_leases=self.lost_leases + (1 if taken_over else 0),
        )

    def returned(self, *, charged: bool, why: JobError | None = None) -> "Job":
        """Back into the lane: after a failure (charged), or because it was not its turn."""
        self._expect(JobState.RUNNING)
        return self._next(
            state=JobState.QUEUED,
            attempts=self.attempts if charged else self.attempts - 1,
            worker=None,
            last_error=why or self.last_error,
        )

    def interrupted(self, why: JobError | None = None) -> "Job":
        """Back into the lane, because its engine died: counted like a worker that vanished."""
        self._expect(JobState.RUNNING)
        return self._next(
            state=JobState.QUEUED,
            attempts=self.attempts - 1,
            lost_leases=self.lost_leases + 1,
            worker=None,
            last_error=why or self.last_error,
        )

    def succeeded(
        self,
        now: float,
        *,
        engine: str,
        model_version: str | None = None,
        usage: Usage,
        confidence: float | None = None,
        cut_short: bool = False,
        cached: bool = False,
    ) -> "Job":
        """The engine answered, or had answered the same before (`cached`)."""
        self._expect(JobState.RUNNING)
        return self._next(
            state=JobState.SUCCEEDED,
            finished_at=now,
            engine=engine,
            model_version=model_version,
            usage=usage,
            confidence=confidence,
            cut_short=cut_short,
            cached=cached,
            last_error=None,
        )

    def failed(
        self,
        now: float,
        error: JobError,
        *,
        engine: str | None = None,
        model_version: str | None = None,
    ) -> "Job":
        """The request can never succeed; trying again would burn time."""
        self._expect(JobState.RUNNING)
        return self._next(
            state=JobState.FAILED,
            finished_at=now,
            error=error,
            engine=engine,
            model_version=model_version,
        )

    def buried(
        self,
        now: float,
        error: JobError,
        *,
        engine: str | None = None,
        model_version: str | None = None,
    ) -> "Job":
        """It kept failing; it lies among the dead letters until somebody redrives it."""
        self._expect(JobState.QUEUED, JobState.RUNNING)
        return self._next(
            state=JobState.DEAD,
            finished_at=now,
            error=error,
            engine=engine,
            model_version=model_version,
        )

    def redriven(self, ticket: Ticket) -> "Job":
        """Back from the dead under the same id, with all its attempts again."""
        self._expect(JobState.DEAD)
        death = Death(
            error=self.error,
            finished_at=self.finished_at,
            attempts=self.attempts,
            lost_leases=self.lost_leases,
            engine=self.engine,
            model_version=self.model_version,
        )
        return self._next(
            state=JobState.ACCEPTED,
            ticket=ticket,
            attempts=0,
            lost_leases=0,
            worker=None,
            engine=None,
            model_version=None,
            queued_at=None,
            started_at=None,
            finished_at=None,
            error=None,
            last_error=None,
            deaths=(*self.deaths, death),
        )

    def discarded(self, now: float) -> "Job":
        """Nobody will redrive it: the reason of its death is that of its failure."""
        self._expect(JobState.DEAD)
        return self._next(state=JobState.FAILED, finished_at=now)

    def erased(self, now: float) -> "Job":
        """Its bodies are gone for good; a dead letter is given up with them."""
        self._expect(*TERMINAL)
        state = JobState.FAILED if self.state is JobState.DEAD else self.state
        return self._next(state=state, erased_at=now)

    def cancelled(self, now: float) -> "Job":
        """The client does not want it any more."""
        self._expect(JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING)
        error = JobError("cancelled", "The job was cancelled by its owner.")
        return self._next(state=JobState.CANCELLED, finished_at=now, error=error)

    def expired(self, now: float) -> "Job":
        """Its deadline passed first."""
        self._expect(JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING)
        error = JobError("deadline_exceeded", "The job's deadline passed before it was done.")
        return self._next(state=JobState.EXPIRED, finished_at=now, error=error)

    def _expect(self, *allowed: JobState) -> None:
        if self.state not in allowed:
            message = f"a job that is {self.state} cannot do this; it must be {allowed}"
            raise ValueError(message)

    def _next(self, **changes: object) -> "Job":
        return replace(self, version=self.version + 1, **changes)
