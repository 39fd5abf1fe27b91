"""GET /v1/models and /v1/models/{id}: ids may have slashes, raw or as %2F."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ktclient.gateway.models import Model
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import gateway_of
from ktclient.wording import quote


def routes() -> list[BaseRoute]:
    return [
        Route("/v1/models", _list, methods=["GET"]),
        Route("/v1/models/{id:path}", _one, methods=["GET"]),
    ]


async def _list(request: Request) -> Response:
    data = [_object(one) for one in await _listed(request)]
    edges = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return JSONResponse({"object": "list", "data": data, "has_more": False, **edges})


async def _one(request: Request) -> Response:
    asked = request.path_params["id"]
    for model in await _listed(request):
        if model.id == asked:
            return JSONResponse(_object(model))
    raise ApiError(
        404,
        f"no server lists the model {quote(asked)} now. GET /v1/models has those that are known",
        code="model_not_found",
        param="model",
    )


async def _listed(request: Request) -> tuple[Model, ...]:
    gateway = gateway_of(request)
    # Not in the threads for checks: they may all be counting tokens, and a list must not wait.
    return await run_in_threadpool(gateway.models.listed, gateway.settings)


def _object(model: Model) -> dict[str, object]:
    """The model as OpenAI's clients read it. `max_model_len` is what vLLM and sglang call it."""
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.owned_by,
        "max_model_len": model.window,
        "ktjob": {"server": model.server, "available": model.is_available},
    }
