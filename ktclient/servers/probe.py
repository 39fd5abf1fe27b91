"""Identify the server at a URL: one GET of /v1/models, which every server answers immediately."""

from __future__ import annotations

from collections.abc import Mapping

import httpx2

from ktclient.errors import ModelUnknown, ServerBusy, ServerRefused, UpstreamDown, WrongAddress
from ktclient.request import connection, error_bodies, error_mapping, status_errors
from ktclient.request.json_numbers import count_of
from ktclient.servers import models
from ktclient.servers.dialects import llamacpp, openai_compatible, sglang, vllm
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.models import Listed
from ktclient.urls import root_of as root_of
from ktclient.wording import quote

_MOST_TOLD = 8
"""Names of models in a message."""

_OWNERS = {"sglang": sglang.NAME, "llamacpp": llamacpp.NAME, "vllm": vllm.NAME}
"""`owned_by` of /v1/models, as recorded from sglang 0.5.17, sglang-kt 0.7.2, llama.cpp and vLLM
0.32.0."""


def probe(
    url: str, api_key: str | None, model: str | None = None, seen: str | None = None
) -> ServerFacts:
    """Identify the server at root `url`. `model` is asked for, listed or not; `seen` is taken if it
    is listed, and without both the first that is for chats.

    Raises a leaf of `ServerUnreachable`, `TlsFailed`, and what `parse` raises.
    """
    try:
        with connection.short_client(api_key, url) as client:
            answer = client.get(f"{url}/v1/models")
    except httpx2.HTTPError as error:
        raise error_mapping.explain(error, url, sent=False) from error
    return parse(url, answer, model, seen)


def names(url: str, api_key: str | None) -> tuple[str, ...]:
    """All models that the server lists. Raises what `probe` raises, `ModelUnknown` if there are
    none."""
    try:
        with connection.short_client(api_key, url) as client:
            answer = client.get(f"{url}/v1/models")
    except httpx2.HTTPError as error:
        raise error_mapping.explain(error, url, sent=False) from error
    parse(url, answer, None)
    return tuple(one.name for one in _listed(answer) or [])


def listed(url: str, api_key: str | None, seconds: float) -> list[Listed]:
    """The models for chats that the server lists now, the best first. No step of the query takes
    longer than `seconds`. Raises what `names` raises."""
    try:
        with connection.short_client(api_key, url) as client:
            client.timeout = httpx2.Timeout(seconds)
            answer = client.get(f"{url}/v1/models")
    except httpx2.HTTPError as error:
        raise error_mapping.explain(error, url, sent=False) from error
    parse(url, answer, None)
    return models.for_chats(_listed(answer) or [])


def of_listed(url: str, entries: list[Listed], model: str | None) -> ServerFacts:
    """The facts of a server that has listed these models; `model` is asked for, listed or not.
    Raises `ModelUnknown` if none is asked for, and none is for chats."""
    return _facts(url, entries, model, None)


def window_of(entry: Mapping[str, object]) -> int | None:
    """The context window that the entry of a list says, in tokens."""
    meta = entry.get("meta")
    said = entry.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, dict) else None)
    return count_of(said)


def parse(
    url: str, answer: httpx2.Response, model: str | None, seen: str | None = None
) -> ServerFacts:
    """Parse the answer of /v1/models. Raises `ModelUnknown`, `Unauthorized`, `WrongAddress`,
    `Redirected`, `TlsFailed`, `UpstreamDown`, `ServerBusy`, `RateLimited`, `ServerBroke`."""
    status = answer.status_code
    # No request was sent yet, so waiting costs nothing.
    if status in status_errors.NO_SERVER_BEHIND:
        raise UpstreamDown(
            f"a gateway answers at {url}, but no server behind it (HTTP {status}): start that "
            "server, or its tunnel"
        )
    if status in (504, 524):
        raise ServerBusy(
            f"a proxy answers at {url}, but the server behind it does not (HTTP {status}): it is "
            "loading, overloaded or hung. See its log"
        )
    entries = _listed(answer) if status == 200 else None
    if entries is not None:
        return _facts(url, entries, model, seen)
    if status != 200 and not isinstance(known := error_mapping.by_answer(url, answer), _VAGUE):
        raise known
    raise WrongAddress(
        f"the service at {url} is not an OpenAI-compatible server: GET /v1/models returned "
        f"HTTP {status}{_page(answer)}. Use a URL without a path, like http://host:40001"
    )


_VAGUE = (ServerRefused, WrongAddress, ModelUnknown)


def _page(answer: httpx2.Response) -> str:
    """The title of a web page, such as a login."""
    start = answer.text[:10_000]
    return f" and a web page ({error_bodies.words(start)})" if error_bodies.is_html(start) else ""


def _listed(answer: httpx2.Response) -> list[Listed] | None:
    """The models that it lists; None if the body is no list of models."""
    try:
        body = answer.json()
        data, is_list = body["data"], body.get("object") == "list"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    found = models.listed(data)
    # Ollama without models returns null.
    return found if found or (is_list and (data is None or isinstance(data, list))) else None


def _facts(url: str, entries: list[Listed], model: str | None, seen: str | None) -> ServerFacts:
    """Raises `ModelUnknown` if none is asked for, and none is for chats."""
    usable = models.for_chats(entries)
    if model is None and not usable:
        raise ModelUnknown(_without_chats(url, entries))
    wanted = model or seen
    one = next((one for one in entries if one.name == wanted), usable[0] if usable else None)
    entry = one.entry if one is not None else {}
    return ServerFacts(
        url=url,
        dialect=_OWNERS.get(str(entry.get("owned_by")), openai_compatible.NAME),
        model=model or (one.name if one is not None else ""),
        window=window_of(entry),
        models=tuple(one.name for one in usable[: models.MOST_NAMED]),
    )


def _without_chats(url: str, entries: list[Listed]) -> str:
    if not entries:
        return f"the server at {url} lists no model: load one there, and retry"
    names = quote(", ".join(one.name for one in entries[:_MOST_TOLD]))
    return (
        f"the server at {url} lists no model for chats, only others ({names}): load one there, or "
        "name one with --model"
    )
