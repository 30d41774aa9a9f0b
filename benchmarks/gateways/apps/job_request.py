"""The request of POST /jobs and its answer, as every bare application reads and writes them."""

import time
import uuid

import msgspec

NANOSECONDS_PER_MICROSECOND = 1000


class JobRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a client posts."""

    prompt: str
    model: str = "llama3-8b"
    max_tokens: int = 512
    priority: int = 0
    team: str = "unknown"


decode = msgspec.json.Decoder(JobRequest).decode
encode = msgspec.json.Encoder().encode


def new_job_id() -> str:
    """Return an identifier that sorts by time: inserts then go to the end of the index."""
    return f"{time.time_ns() // NANOSECONDS_PER_MICROSECOND:013x}{uuid.uuid4().hex[:10]}"


def accepted(job_id: str) -> bytes:
    """Return the body of a 202."""
    return encode({"job_id": job_id, "status": "queued", "poll_url": f"/jobs/{job_id}"})


def refused(error: msgspec.ValidationError) -> bytes:
    """Return the body of a 400."""
    return encode({"error": str(error)})
