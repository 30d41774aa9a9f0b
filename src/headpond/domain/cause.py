"""What made a job a dead letter, without what differs from job to job.

A thousand jobs that one broken engine killed have a thousand messages, with their own numbers, ids
and quoted words. Their cause is one: the code, and the message with all of that blanked.
"""

import re
from hashlib import blake2b

import msgspec

from headpond.domain.job import Job, JobError

MAX_PATTERN_CHARS = 300
"""Messages that differ only after so much have one cause."""

_BLANKS = (
    (re.compile(r'"[^"]*"|`[^`]*`|(?<!\w)\'[^\']*\'(?!\w)'), "…"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "#"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "#"),
    (re.compile(r"\b(?:[a-z]+_)?(?=[a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE), "#"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "#"),
    (re.compile(r"\s+"), " "),
)


class Cause(msgspec.Struct, frozen=True):
    """`id` names it in commands and URLs: 12 hex digits of what follows."""

    id: str
    code: str
    pattern: str


class CauseGroup(msgspec.Struct, frozen=True, kw_only=True):
    """All dead letters of one cause. Times are Unix seconds; `sample` is the first one's id."""

    cause: Cause
    count: int
    first_at: float
    last_at: float
    sample: str
    models: tuple[str, ...]
    teams: tuple[str, ...]


def cause_of(error: JobError | None) -> Cause:
    """The cause of a death; one without a reason has the cause `unknown`."""
    code, message = ("unknown", "") if error is None else (error.code, error.message)
    pattern = message[: 4 * MAX_PATTERN_CHARS]
    for what, blank in _BLANKS:
        pattern = what.sub(blank, pattern)
    pattern = pattern.strip()[:MAX_PATTERN_CHARS]
    digest = blake2b(f"{code}\n{pattern}".encode(), digest_size=6)
    return Cause(digest.hexdigest(), code, pattern)


def with_one_more(group: CauseGroup | None, cause: Cause, job: Job) -> CauseGroup:
    """The group with one more dead letter, which died after those in it."""
    died_at = job.finished_at or 0.0
    if group is None:
        return CauseGroup(
            cause=cause,
            count=1,
            first_at=died_at,
            last_at=died_at,
            sample=job.id,
            models=(job.model,),
            teams=(job.team,),
        )
    return msgspec.structs.replace(
        group,
        count=group.count + 1,
        last_at=died_at,
        models=_with(group.models, job.model),
        teams=_with(group.teams, job.team),
    )


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)
