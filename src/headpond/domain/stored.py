"""Records as a store keeps them: each one JSON text (decisions/0010)."""

import logging

import msgspec

from headpond.domain.batch import Batch
from headpond.domain.job import Job
from headpond.errors import Unreadable

log = logging.getLogger(__name__)

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises: also where bytes are no UTF-8, and where they are nested without end."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Job).decode
_decode_batch = msgspec.json.Decoder(Batch).decode


def record_of(job: Job) -> str:
    """The text."""
    return _encode(job).decode()


def job_of(record: str | bytes) -> Job:
    """The record as it was stored. Raises Unreadable."""
    try:
        return _decode(record)
    except UNREADABLE as error:
        message = "The record of a job cannot be read: a newer release wrote it, or it is damaged."
        raise Unreadable(message) from error


def readable(record: str | bytes, job_id: str = "a job") -> Job | None:
    """The record, None for one of a newer release or a damaged one: others are not to suffer."""
    try:
        return job_of(record)
    except Unreadable:
        log.exception("the record of %s cannot be read: %s", job_id, record[:200])
        return None


def readable_batch(record: str | bytes) -> Batch | None:
    """As `readable`."""
    try:
        return _decode_batch(record)
    except UNREADABLE:
        log.exception("the record of a batch cannot be read: %s", record[:200])
        return None
