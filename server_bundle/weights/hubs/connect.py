"""The two hubs by name, each imported when it is used: their libraries are an extra."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from jobs import extras, known_secrets
from server_bundle.errors import FetchRefused
from server_bundle.weights.hubs.hub import Hub
from server_bundle.weights.source import HUGGING_FACE, MODELSCOPE, Source

_BY_NAME = {HUGGING_FACE: ("huggingface", "HuggingFace"), MODELSCOPE: ("modelscope", "ModelScope")}
_LIBRARIES = {HUGGING_FACE: "huggingface_hub", MODELSCOPE: "modelscope_hub"}


def connect(source: Source) -> Hub:
    """The hub of a source. The user's token is hidden in messages from then on. Raises
    `FetchRefused` where its library is not installed."""
    module, name = _BY_NAME[source.hub]
    try:
        made = getattr(import_module(f"{__package__}.{module}"), name)()
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != _LIBRARIES[source.hub]:
            raise
        raise FetchRefused(
            f"the library of {source.hub_name} is not installed: {extras.command('fetch')}"
        ) from None
    hub = cast(Hub, made)
    if token := hub.token():
        known_secrets.know(token)
    return hub
