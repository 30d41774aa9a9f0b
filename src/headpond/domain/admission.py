"""How much a worker may pull."""

REFILL_SHARE = 0.25


def room(
    *,
    limit: int,
    in_flight: int,
    waiting: int | None,
    kv_usage: float | None,
    kv_usage_limit: float,
) -> int:
    """How many more requests the engine should get from this worker, 0 or more.

    None above the limit of KV-cache use. Below it, each request that waits inside the engine
    takes a place of `limit`: it is in the engine, but does not run. A gauge that is None is not
    known and takes nothing; the worker says elsewhere that it is missing.
    """
    if kv_usage is not None and kv_usage > kv_usage_limit:
        return 0
    return max(0, limit - max(in_flight, 0) - (waiting or 0))


def worth_pulling(*, limit: int, in_flight: int, room: int) -> bool:
    """True when `room` is enough for a pull: a quarter of the limit, or all that there can be.

    Pulling each time that one place is free would cost a transaction a job.
    """
    return room > 0 and (room >= limit * REFILL_SHARE or in_flight == 0)
