"""What the harness has to know to start a server and to load it."""

from dataclasses import dataclass
from typing import Final

from benchmarks.harness.environments import MAIN, Environment

PROMPT_FILL: Final = "Blue cotton crew neck t-shirt, relaxed fit, 200gsm. " * 12
PROMPT: Final = PROMPT_FILL[:589]


@dataclass(frozen=True, slots=True)
class Request:
    """A POST; its body is `body_before`, a number of ten digits, and `body_after`.

    The prompts have 600 characters, number and space included.
    """

    path: str
    body_before: str
    body_after: str
    accepted_status: int
    headers: tuple[str, ...] = ()


JOB_REQUEST: Final = Request(
    path="/jobs",
    body_before='{"prompt": "',
    body_after=(f' {PROMPT}", "model": "llama3-8b", "max_tokens": 64}}'),
    accepted_status=202,
)


@dataclass(frozen=True, slots=True)
class GatewaySubject:
    """A server under test, run as one process on one core.

    In `command` and in `variables` (names and values for the process environment), {python},
    {port}, {directory} and {key} stand for the environment's interpreter, the port to listen on (of
    127.0.0.1), an empty folder on the disk under test and a random key of this run; the request's
    headers may name {key} too.  `health_path` is empty where listening means ready.  `cannot_run`
    is the reason while there is nothing to start.
    """

    name: str
    does: str
    durability: str
    command: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()
    request: Request = JOB_REQUEST
    health_path: str = ""
    environment: Environment = MAIN
    ready_limit_s: float = 30
    cannot_run: str = ""
