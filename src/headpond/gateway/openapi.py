"""The OpenAPI document, built from the operations and their wire types."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version

import msgspec
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp

from headpond.gateway.docs_page import page
from headpond.gateway.endpoint import Answer, Call, Operation, Parameter
from headpond.gateway.envelope import ErrorEnvelope
from headpond.gateway.event_stream import MEDIA_TYPE as EVENT_STREAM
from headpond.gateway.reply import Reply

Document = Mapping[str, object]

ALWAYS = (400, 500, 503)

EVENT: Mapping[str, object] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
    "required": ["data"],
}
"""One server-sent event. Of a stream, OpenAPI before 3.2 can describe nothing else."""


class DocumentRoutes:
    """/openapi.json and /docs, about the operations given and about themselves."""

    def __init__(self, others: Sequence[Operation]) -> None:
        self._others = others

    def operations(self) -> list[Operation]:
        """Public: they hold nothing that the source code does not."""
        ours = [
            Operation(
                method="GET",
                path="/openapi.json",
                handler=self._document,
                summary="This interface as OpenAPI",
                answer=Answer(type=dict[str, object]),
                public=True,
            ),
            Operation(
                method="GET",
                path="/docs",
                handler=self._page,
                summary="This interface as a page",
                answer=Answer(media="text/html", description="A page."),
                public=True,
            ),
        ]
        built = document([*self._others, *ours])
        self._json = msgspec.json.encode(built)
        self._html = page(built)
        return ours

    async def _document(self, call: Call) -> ASGIApp:
        del call
        return Reply(self._json)

    async def _page(self, call: Call) -> ASGIApp:
        del call
        return HTMLResponse(self._html)


def document(operations: Sequence[Operation]) -> Document:
    """OpenAPI 3.1."""
    bodies = [o.body for o in operations if o.body is not None]
    answers = [o.answer.type for o in operations if o.answer.type is not None]
    types = [ErrorEnvelope, *bodies, *answers]
    schemas, components = msgspec.json.schema_components(
        types, schema_hook=_anything, ref_template="#/components/schemas/{name}"
    )
    refs: _Refs = list(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, object]] = {}
    for operation in operations:
        path = paths.setdefault(operation.path.replace(":path}", "}"), {})
        path[operation.method.lower()] = _operation(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headpond",
            "version": version("headpond"),
            "description": "A durable queue in front of self-hosted LLM engines.",
            "license": {"name": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


_Refs = Sequence[tuple[object, Mapping[str, object]]]


def _anything(kind: type) -> dict[str, object]:
    del kind
    return {"description": "Any JSON value"}


def _operation(operation: Operation, refs: _Refs) -> dict[str, object]:
    described: dict[str, object] = {
        "summary": operation.summary,
        "operationId": f"{operation.method.lower()}{operation.path.replace('/', '_')}".translate(
            str.maketrans("", "", "{}:.")
        ),
        "parameters": [*_path_parameters(operation), *map(_parameter, operation.parameters)],
        "responses": _responses(operation, refs),
        # An empty choice: a gateway on localhost without keys asks for none.
        "security": [] if operation.public else [{"key": []}, {}],
    }
    if operation.body is not None:
        content = {operation.media: {"schema": _schema(operation.body, refs)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _responses(operation: Operation, refs: _Refs) -> dict[str, object]:
    answer = operation.answer
    content: dict[str, object] = {answer.media: {"schema": _answer_schema(answer, refs)}}
    if answer.stream is not None:
        content[EVENT_STREAM] = {"schema": {**EVENT, "description": answer.stream}}
    responses: dict[str, object] = {
        str(answer.status): {"description": answer.description, "content": content}
    }
    if answer.empty is not None:
        responses["204"] = {"description": answer.empty}
    envelope = {"application/json": {"schema": _schema(ErrorEnvelope, refs)}}
    always = ALWAYS if operation.public else (*ALWAYS, 401, 403)
    for status in sorted({*always, *operation.errors}):
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": envelope}
    return responses


def _answer_schema(answer: Answer, refs: _Refs) -> Mapping[str, object]:
    if answer.type is not None:
        return _schema(answer.type, refs)
    return EVENT if answer.media == EVENT_STREAM else {"type": "string"}


def _path_parameters(operation: Operation) -> list[dict[str, object]]:
    if "{id" not in operation.path:
        return []
    schema = {"type": "string", "minLength": 1}
    return [{"name": "id", "in": "path", "required": True, "schema": schema}]


def _parameter(parameter: Parameter) -> dict[str, object]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": False,
        "schema": parameter.schema,
        "description": parameter.description,
    }


def _schema(wanted: object, refs: _Refs) -> Mapping[str, object]:
    return next(schema for kind, schema in refs if kind is wanted)
