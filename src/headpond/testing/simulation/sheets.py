"""The files of batches as the simulated interface has them: JSON, a request or a result a line."""

import msgspec
from typing_extensions import override

from headpond.domain.job import JobId, JobState
from headpond.errors import InvalidRequest
from headpond.ports.batches import Line
from headpond.services.line_format import LineFormat, LineRequest
from headpond.services.submission import Order
from headpond.testing.simulation.engine import Prompt, text_of


class Request(msgspec.Struct, frozen=True):
    """A line of an input file; one that is not `fit` is refused."""

    custom_id: str
    fit: bool = True
    poison: bool = False


class Result(msgspec.Struct, frozen=True):
    """A line of an output or an error file: how the job ended, and what it was answered.

    Without a job it was not there any more.
    """

    custom_id: str
    job: JobId | None = None
    state: JobState | None = None
    text: str | None = None


def order_of(endpoint: str, custom_id: str) -> str:
    """The name of a line's order. Each batch has an endpoint of its own, which names it."""
    return f"{endpoint}/{custom_id}"


class SheetFormat(LineFormat):
    """Reads and writes them."""

    @override
    def request(self, endpoint: str, text: bytes) -> LineRequest:
        asked = msgspec.json.decode(text, type=Request)
        if not asked.fit:
            raise InvalidRequest("The line is not fit.", code="unfit")
        name = order_of(endpoint, asked.custom_id)
        request = msgspec.json.encode(Prompt(name, asked.poison))
        order = Order(request=request, prompt_chars=10, metadata={"order": name})
        return LineRequest(asked.custom_id, order)

    @override
    def custom_id(self, text: bytes) -> str:
        return msgspec.json.decode(text, type=Request).custom_id

    @override
    def result(self, endpoint: str, custom_id: str, line: Line) -> bytes:
        if not line.job.state.terminal:
            raise ValueError(f"{line.job.id} has not ended")
        response = line.bodies.response
        text = None if response is None else text_of(response)
        return _line(Result(custom_id, line.job.id, line.job.state, text))

    @override
    def gone(self, custom_id: str) -> bytes:
        return _line(Result(custom_id))


def _line(result: Result) -> bytes:
    return msgspec.json.encode(result)
