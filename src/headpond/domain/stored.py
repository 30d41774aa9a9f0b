"""The record of a job as a store keeps it: one JSON text (decisions/0010)."""

import logging

import msgspec

from headpond.domain.job import Job

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Job).decode


def record_of(job: Job) -> str:
    """The text."""
    return _encode(job).decode()


def job_of(record: str) -> Job:
    """The record as it was stored."""
    return _decode(record)


def readable(record: str, job_id: str = "a job") -> Job | None:
    """The record, None for one of a newer release or a damaged one: others are not to suffer."""
    try:
        return job_of(record)
    except msgspec.MsgspecError:
        log.exception("the record of %s cannot be read: %s", job_id, record[:200])
        return None
