"""Starlette: validate and answer 202, storing nothing."""

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.gateways.apps import job_request, serving

JSON = "application/json"


async def post_job(request: Request) -> Response:
    """Answer POST /jobs."""
    try:
        job_request.decode(await request.body())
    except msgspec.ValidationError as error:
        return Response(job_request.refused(error), 400, media_type=JSON)
    return Response(job_request.accepted(job_request.new_job_id()), 202, media_type=JSON)


if __name__ == "__main__":
    app = Starlette(routes=[Route("/jobs", post_job, methods=["POST"])])
    serving.serve(app, serving.parser().parse_args().port)
