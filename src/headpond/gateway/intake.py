"""Intake: the way from a decoded request to a job, the same for every front door."""

import math
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Raw

from headpond.domain.job import Job
from headpond.domain.lane import Priority
from headpond.domain.work import DEFAULT_ANSWER_TOKENS
from headpond.errors import InvalidRequest
from headpond.gateway.endpoint import Call
from headpond.gateway.idempotency import NEW, Sameness, sameness
from headpond.gateway.prompt import prompt_chars
from headpond.gateway.reply import Header
from headpond.services.rate_limits import Allowance
from headpond.services.submission import Order, Receipt, Submission
from headpond.settings import GatewaySettings

REQUESTS_LEFT, TOKENS_LEFT = (
    (b"x-ratelimit-limit-" + unit, b"x-ratelimit-remaining-" + unit, b"x-ratelimit-reset-" + unit)
    for unit in (b"requests", b"tokens")
)

_encode = msgspec.json.Encoder().encode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the front doors have in common. `body` is the client's, `request` the engine's.

    `prompt_param` is the field that the messages came in.
    """

    body: bytes
    request: bytes
    prompt_param: str
    answer_tokens: int | None
    metadata: dict[str, str] | None
    stream: bool | None
    model: str | None
    priority: Priority
    task_type: str | None = None
    deadline: float | None = None
    expires_in: float | None = None
    best_effort: bool = False
    callback: str | None = None
    background: bool | None = None


class Inspection:
    """Checks the limits that the settings name."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._max_prompt_chars = settings.max_prompt_chars
        self._max_output_tokens = settings.max_output_tokens

    def order(self, asked: Asked, same: Sameness = NEW) -> Order:
        """What is to be submitted. Raises InvalidRequest."""
        chars = prompt_chars(asked.request, limit=self._max_prompt_chars, param=asked.prompt_param)
        return Order(
            request=asked.request,
            prompt_chars=chars,
            model=asked.model,
            max_tokens=asked.answer_tokens,
            priority=asked.priority,
            task_type=asked.task_type,
            deadline=asked.deadline,
            expires_in=asked.expires_in,
            best_effort=asked.best_effort,
            callback=asked.callback,
            background=asked.background,
            stream=bool(asked.stream),
            metadata=asked.metadata or {},
            idempotency_key=same.key,
            try_number=same.try_number,
            fingerprint=same.fingerprint,
        )

    def answer_tokens(self, limits: Mapping[str, int | None], choices: int = 1) -> int | None:
        """Tokens of all choices together; None where the client set no limit for its one.

        `limits` are for one choice, by the fields that they came in; the largest one counts.
        Raises InvalidRequest.
        """
        allowed = self._max_output_tokens
        sent = {param: limit for param, limit in limits.items() if limit is not None}
        for param, limit in sent.items():
            if limit > allowed:
                message = (
                    f"{limit} output tokens are asked for; {allowed} are allowed "
                    "(gateway.max_output_tokens)."
                )
                raise InvalidRequest(message, code="too_many_tokens", param=param)
        limit = max(sent.values(), default=None)
        if choices == 1:
            return limit
        return choices * (DEFAULT_ANSWER_TOKENS if limit is None else limit)


class Intake:
    """Inspects and submits."""

    def __init__(self, submission: Submission, inspection: Inspection) -> None:
        self._submission = submission
        self.inspection = inspection

    async def submit(self, call: Call, asked: Asked) -> Receipt:
        """Make it a job. Raises what Submission raises, and InvalidRequest."""
        order = self.inspection.order(asked, sameness(call, asked.body))
        return await self._submission.submit(order, call.identity)


def engine_request(body: bytes, ours: Iterable[str]) -> bytes:
    """The client's own JSON without the fields that are for us, each value byte for byte.

    A `prompt` among ours becomes the one message.
    """
    fields = _decode_fields(body)
    removed = {name: fields.pop(name) for name in ours if name in fields}
    prompt = bytes(removed.get("prompt", b"null"))
    if prompt != b"null":
        fields["messages"] = Raw(b'[{"role":"user","content":%b}]' % prompt)
    return _encode(fields)


def receipt_headers(receipt: Receipt) -> list[Header]:
    """The job's id, and what is left of the team's rate limits."""
    headers = [(b"x-headpond-job-id", receipt.job.id.encode())]
    if receipt.replayed:
        headers.append((b"idempotent-replayed", b"true"))
    return headers + _limit_headers(receipt.allowance)


def poll_url(job: Job) -> str:
    """Where the job is to be seen."""
    return f"/jobs/{job.id}"


def _limit_headers(allowance: Allowance) -> list[Header]:
    headers: list[Header] = []
    for names, bucket in ((REQUESTS_LEFT, allowance.requests), (TOKENS_LEFT, allowance.tokens)):
        if bucket is not None:
            values = (
                f"{bucket.per_minute}",
                f"{bucket.remaining}",
                f"{math.ceil(bucket.reset_s)}s",
            )
            headers += zip(names, map(str.encode, values), strict=True)
    return headers
