"""A stage whose records are documents."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from headpond.adapters.documents.audit import DocumentAudit
from headpond.adapters.documents.bodies import DocumentBodies
from headpond.adapters.documents.jobs import DocumentJobStore
from headpond.adapters.documents.table import Table
from headpond.ports.queue import Queue
from headpond.testing.clocks import ManualClock
from headpond.testing.delivery_suite import Stage, two_steps


@asynccontextmanager
async def stage_on(table: Table, queue: Queue, clock: ManualClock) -> AsyncGenerator[Stage]:
    """Two steps on a table and any queue."""
    bodies = DocumentBodies(table, clock)
    jobs = DocumentJobStore(table, clock, bodies)
    yield Stage(two_steps(jobs, queue, clock), jobs, queue, DocumentAudit(table, bodies), clock)
    await jobs.close()
