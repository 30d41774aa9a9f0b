"""/v1/models: what the settings say is served; a pool at rest still counts."""

from typing import Literal

import msgspec
from starlette.types import ASGIApp

from headpond.domain.catalogue import Catalogue
from headpond.errors import NotFound
from headpond.gateway.endpoint import Answer, Call, Operation
from headpond.gateway.reply import json_reply


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """`owned_by` is the pool."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Model]


class ModelRoutes:
    """OpenAI's models API."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._models = {
            route.model: Model(id=route.model, owned_by=route.pool) for route in catalogue.models()
        }

    def operations(self) -> list[Operation]:
        """List and one."""
        return [
            Operation(
                method="GET",
                path="/v1/models",
                handler=self._list,
                summary="List the models",
                answer=Answer(type=ModelList),
            ),
            Operation(
                method="GET",
                path="/v1/models/{id:path}",
                handler=self._show,
                summary="Show a model",
                answer=Answer(type=Model),
                errors=(404,),
            ),
        ]

    async def _list(self, call: Call) -> ASGIApp:
        del call
        return json_reply(ModelList(data=list(self._models.values())))

    async def _show(self, call: Call) -> ASGIApp:
        model = self._models.get(call.id)
        if model is None:
            message = f"The model {call.id[:64]!r} is not served here."
            raise NotFound(message, code="model_not_found", param="model")
        return json_reply(model)
