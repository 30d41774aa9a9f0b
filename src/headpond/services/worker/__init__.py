"""The worker: pulls jobs at the pace of its engine and writes one result for each.

worker     what is done next, and how it stops
gate       whether the engine may be given work
pulling    claims as much as there is room for
recall     answers what is known already, or is just being asked
in_flight  what is at the engine
relay      asks it, and passes on what it says while it says it
isolation  keeps those that were in flight when the engine failed, and finds out which one did it
trials     when those are tried
settling   writes what became of jobs, beside everything else
heartbeat  renews the leases of all that, and drops what is no longer ours
load       reads the engine's gauges, which bound the room
alarm      ends a pause when a place has become free
"""

from headpond.services.worker.worker import Worker

__all__ = ["Worker"]
