"""Raw ASGI: validate and answer 202, storing nothing."""

import msgspec

from benchmarks.gateways.apps import job_request, serving
from benchmarks.gateways.apps.raw_asgi import Message, Receive, Send, answer, read_body


async def app(_scope: Message, receive: Receive, send: Send) -> None:
    """Answer POST /jobs."""
    body = await read_body(receive)
    try:
        job_request.decode(body)
    except msgspec.ValidationError as error:
        await answer(send, 400, job_request.refused(error))
        return
    await answer(send, 202, job_request.accepted(job_request.new_job_id()))


if __name__ == "__main__":
    serving.serve(app, serving.parser().parse_args().port)
