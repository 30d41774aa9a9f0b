"""Token streams: what running jobs have said so far, beside the queue.

A stream is the side channel of one job: entries with numbers from 1 without gaps, which worker
processes write and gateway processes read. It need not survive a power cut; the job's result does.

A run is one claim of the job, named by the version that the record had after it. Writing is fenced
by the record: as soon as its version is another one, because the job was taken over, cancelled,
returned or has ended, the run can write nothing more. So the entries of two runs never mix, and
what is read after a record was seen ended is all that there will be.
"""

from typing import Protocol

import msgspec

from headpond.domain.job import JobId


class Entry(msgspec.Struct, frozen=True):
    """Something that a run said: `choices` is a piece of the answer (`domain/deltas.py`) as JSON.

    Without choices it is a restart: the run begins anew, and all that was said before is void.
    """

    seq: int
    run: int
    choices: bytes | None = None


class TokenStreams(Protocol):
    """The streams of all jobs that ask for one."""

    async def begin(self, job_id: JobId, run: int) -> int | None:
        """Let the run write from its beginning; returns the number of the last entry.

        Adds a restart iff the last entry is something that was said, also by the same run: a worker
        may ask its engine again. None if the claim has fallen.
        """
        ...

    async def append(self, job_id: JobId, entry: Entry) -> bool:
        """Add the entry, whose number follows the last one's; False if the claim has fallen.

        An entry whose number is there already was written by a try whose answer got lost: it stays.
        """
        ...

    async def read(
        self, job_id: JobId, *, after: int, limit: int, wait_s: float = 0.0
    ) -> list[Entry]:
        """The entries with numbers above `after`, in their order, at most `limit`.

        With none there, waits up to `wait_s` seconds for the first.
        """
        ...

    async def forget(self, ended_before: float) -> int:
        """Forget streams of jobs that ended before then (Unix seconds), the oldest jobs' first.

        Returns how many; there may be more.
        """
        ...
