"""Every call of a port behind a line goes by way of it, and means what it means without."""

from collections.abc import Coroutine
from typing import TypeVar

import pytest
from typing_extensions import override

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.files import MemoryBlobs
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.domain.file import BlobName
from headpond.domain.job import JobId
from headpond.ports.audit import AuditQuery
from headpond.testing.clocks import ManualClock
from headpond.testing.faults import Crash, Faults, Line, behind

T = TypeVar("T")

NAME = BlobName("blob-1")


class Counted(Line):
    """Notes each verb, and lets it through."""

    def __init__(self) -> None:
        self.verbs: list[str] = []

    @override
    async def through(self, call: Coroutine[object, object, T]) -> T:
        self.verbs.append(call.__name__)
        return await call


async def test_a_call_a_read_and_each_step_of_what_is_written_go_by_the_line() -> None:
    line, clock = Counted(), ManualClock()
    jobs = MemoryJobStore(clock)
    blobs = behind(MemoryBlobs(clock), line)

    assert await behind(jobs, line).get(JobId("job_0")) is None
    assert [entry async for entry in behind(MemoryAudit(jobs), line).read(AuditQuery())] == []
    async with blobs.create(NAME) as blob:
        await blob.write(b"bytes")
    assert [piece async for piece in blobs.read(NAME)] == [b"bytes"]

    assert line.verbs == ["get", "_read", "_open", "write", "_open", "_open", "_read"]


async def test_a_crash_after_the_call_leaves_its_effect_and_one_before_it_none() -> None:
    faults, blobs = Faults(), MemoryBlobs(ManualClock())
    struck = behind(blobs, faults)
    async with struck.create(NAME) as blob:
        await blob.write(b"bytes")

    faults.arm(0)
    with pytest.raises(Crash):
        await struck.delete(NAME)
    assert [piece async for piece in blobs.read(NAME)] == [b"bytes"]

    faults.arm(0, "after", OSError("the answer was lost"))
    with pytest.raises(OSError, match="lost"):
        await struck.delete(NAME)
    assert await blobs.written_before(1e12) == []
