"""How much a worker may pull."""

REFILL_SHARE = 0.25


def room(
    *,
    limit: int,
    in_flight: int,
    settling: int,
    waiting: int | None,
    kv_usage: float | None,
    kv_usage_limit: float,
) -> int:
    """How many more requests the engine should get from this worker, 0 or more.

    None above the limit of KV-cache use. Below it, each request that waits inside the engine
    takes a place of `limit`: it is in the engine, but does not run. A gauge that is None is not
    known and takes nothing; the worker says elsewhere that it is missing.

    What is `settling` has left the engine and takes no place there, but memory: of both together
    a worker has no more than twice its limit, so that a slow store slows the pull. Who waits in its
    hands for something else is `in_flight` only where whoever asks counts it so.
    """
    if kv_usage is not None and kv_usage > kv_usage_limit:
        return 0
    at_engine = limit - in_flight - (waiting or 0)
    in_hands = 2 * limit - in_flight - settling
    return max(0, min(at_engine, in_hands))


def worth_pulling(*, limit: int, in_flight: int, room: int) -> bool:
    """True when `room` is enough for a pull: a quarter of the limit, or all that there can be.

    Pulling each time that one place is free would cost a transaction a job.
    """
    return room > 0 and (room >= limit * REFILL_SHARE or in_flight == 0)
