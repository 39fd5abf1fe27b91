"""Short queries to a probed server. A server that does not answer them is not an error."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import httpx2

from ktclient.errors import BadSetting
from ktclient.prompts.generation import template_kwargs
from ktclient.request import bounds, connection, liveness
from ktclient.servers.dialects import llamacpp, openai_compatible, sglang, vllm
from ktclient.servers.dialects.dialect import Dialect, ServerFacts
from ktclient.tokens import bundled, deepseek_effort

FOLDER_SECONDS = 3.0
"""For a query that sglang answers immediately: a submit waits for it."""

_LONGEST_PATH = 4096

_DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (sglang.Sglang(), llamacpp.LlamaCpp(), vllm.Vllm(), openai_compatible.Plain())
}


def request_fields(
    facts: ServerFacts, rid: str, thinking: bool | None = None, effort: str | None = None
) -> dict[str, object]:
    """Fields to add to a chat request for this server. An explicit `thinking` is sent to any
    server: one that does not know the field refuses the request with a message.

    sglang gets the effort inside of chat_template_kwargs only: beside it, sglang-kt 0.6.2 refuses
    "max" (protocol.py:591), and all versions take it from there. Others have OpenAI's name."""
    fields = _DIALECTS[facts.dialect].extras(rid)
    if thinking is None:
        return fields
    is_sglang = facts.dialect == sglang.NAME
    if thinking and effort is None and is_sglang and bundled.is_deepseek_v4(facts.model):
        effort = deepseek_effort.USUAL
    fields = {**fields, "chat_template_kwargs": template_kwargs(thinking, effort)}
    return fields if is_sglang or effort is None else {**fields, "reasoning_effort": effort}


def count(facts: ServerFacts, api_key: str | None, message: str) -> int | None:
    """Prompt tokens of one user message by the server's own tokenizer; None if not available."""
    try:
        with connection.short_client(api_key, facts.url) as client:
            return _DIALECTS[facts.dialect].count(client, facts.url, facts.model, message)
    except (
        httpx2.HTTPError,
        ValueError,
        KeyError,
        TypeError,
    ):  # gone, or not the expected kind of server
        return None


def survey(facts: ServerFacts, api_key: str | None, patience: float) -> ServerFacts:
    """The same facts and all others that the server reports; each query is sent once and waits
    `patience` seconds at most."""
    try:
        with connection.short_client(api_key, facts.url) as client:
            return _DIALECTS[facts.dialect].survey(client, facts, patience)
    except (httpx2.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return facts


def model_folder(facts: ServerFacts, api_key: str | None) -> str | None:
    """The folder (or hub name) of the server's tokenizer; None if not reported."""
    if facts.dialect != sglang.NAME:
        return None
    try:
        with connection.short_client(api_key, facts.url) as client:
            answer = client.get(f"{facts.url}/model_info", timeout=FOLDER_SECONDS)
            folder = answer.json()["tokenizer_path"]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return None
    return folder if isinstance(folder, str) and _is_path(folder) else None


def _is_path(name: str) -> bool:
    try:
        return 0 < len(os.fsencode(name)) <= _LONGEST_PATH and "\0" not in name
    except UnicodeEncodeError:
        return False


_OF_MODEL = {sglang.NAME: "/model_info", llamacpp.NAME: "/props"}
"""What a server says of its model, without asking the scheduler."""


def model_told(facts: ServerFacts, api_key: str | None) -> dict[str, object] | None:
    """What the server says of its model: sglang its folders and architectures, llama.cpp its file
    and chat template. Empty if this kind of server says nothing, None if it does not answer now."""
    path = _OF_MODEL.get(facts.dialect)
    if path is None:
        return {}
    try:
        with connection.short_client(api_key, facts.url) as client:
            told = client.get(f"{facts.url}{path}", timeout=FOLDER_SECONDS).json()
    except (httpx2.HTTPError, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else {}


def is_asleep(facts: ServerFacts, api_key: str | None) -> bool:
    """Whether llama.cpp has unloaded its model, and loads it for the next request."""
    if facts.dialect != llamacpp.NAME:
        return False
    return bool((model_told(facts, api_key) or {}).get("is_sleeping") is True)


def tokens_among(facts: ServerFacts, api_key: str | None, marks: Sequence[str]) -> set[str] | None:
    """Those of the marks that llama.cpp reads as one token wherever they stand; None if the server
    does not say it, or would have to wake up for that. sglang's answer has no text of the
    tokens."""
    if facts.dialect != llamacpp.NAME or facts.is_asleep:
        return None
    body = {"content": "\n".join(marks), "parse_special": True, "with_pieces": True}
    try:
        with connection.short_client(api_key, facts.url) as client:
            answer = client.post(f"{facts.url}/tokenize", json=body, timeout=FOLDER_SECONDS)
            pieces = {one["piece"] for one in answer.json()["tokens"] if _is_text(one["piece"])}
    except (httpx2.HTTPError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return pieces.intersection(marks)


def _is_text(piece: object) -> bool:
    """A piece that is no whole character is a list of bytes."""
    return isinstance(piece, str)


def is_idle(facts: ServerFacts, api_key: str | None) -> bool | None:
    """Whether the server computes nothing for any client now. None if unknown; a server that does
    not listen computes nothing."""
    try:
        with connection.short_client(api_key, facts.url) as client:
            return _DIALECTS[facts.dialect].is_silent(client, facts.url)
    except httpx2.ConnectError:
        return True
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return None


def is_full(facts: ServerFacts, api_key: str | None) -> bool:
    """Whether the server's own figures say that its queue accepts no more; False if unknown."""
    if facts.dialect != sglang.NAME:
        return False
    try:
        with connection.short_client(api_key, facts.url) as client:
            return sglang.is_full(client, facts.url)
    except (httpx2.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return False


def abort(facts: ServerFacts, api_key: str | None, rid: str) -> bool:
    """Ask the server to stop a request. False if it has no abort endpoint, or did not answer."""
    try:
        with connection.short_client(api_key, facts.url) as client:
            return _DIALECTS[facts.dialect].abort(client, facts.url, rid)
    except httpx2.HTTPError:
        return False


def is_responding(facts: ServerFacts, api_key: str | None, watch: liveness.Watch) -> bool | None:
    """Whether the server answers anything at all now; None if it lets the query wait, as one does
    that serves one connection at a time. sglang answers /model_info immediately, even during a
    prefill; /health and /v1/loads wait for the end of a chunk. An error status is an answer too."""
    url = f"{facts.url}{_DIALECTS[facts.dialect].pulse_path}"
    try:
        with connection.probe_client(api_key, facts.url, liveness.ANSWER_SECONDS, watch) as client:
            client.get(url)
            return True
    except bounds.TooLarge:
        return True
    except httpx2.TimeoutException:
        return None
    except (httpx2.HTTPError, OSError, ValueError, BadSetting):
        return False
    finally:
        watch(None)
