"""The dialect of sglang and sglang-kt."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx2

from ktclient.request.json_numbers import count_of, sure_amount_of
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.tokens import bundled

NAME = "sglang"
PIECE_CHARACTERS = 100_000
"""/tokenize runs on the HTTP event loop and stalls all other requests: about half a second for
this much (200,000 characters took 0.85 s in real/sglang-kt-0.7.2-cpu/abort.jsonl)."""
COUNT_SECONDS = 300.0
"""For all pieces of a text: a million tokens are 40 pieces."""
LOADS_SECONDS = 600.0
"""/v1/loads waits for the end of a chunk: 7 to 13 s in the guide's deployment, 26 s seen, minutes
if kernels are compiled first. The limit is much longer than that, because sglang-kt keeps a query
whose client has gone, and answers it before the next one."""
CHUNK_SECONDS = 30.0
"""Longer than any chunk seen. Without an answer until then, the server may have had no request."""
DEEPSEEK_V4_PAGE = 256
"""The page that its attention backend sets; it ignores --page-size (sglang-kt
server_args.py:1203)."""
_OF_PREFILLS = ("sglang:realtime_tokens_total{", "sglang:prompt_tokens_total{")
_VERSION = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}([.+a-z]?[0-9a-z.+]{0,20})")
_NO_VERSION = "0.0.0.dev0"
"""Of a build that does not know its own (sglang/version.py)."""
_INSTANT_SECONDS = 1.0
"""/server_info goes through the scheduler; an idle one answers in milliseconds."""
TEMPLATE_TOKENS = 16
"""Allowance for the chat template around one user message."""

one_question = threading.Lock()


class Sglang:
    """Dialect of sglang 0.5 and sglang-kt 0.6.2 to 0.7.2."""

    name = NAME
    pulse_path = "/model_info"

    def extras(self, rid: str) -> dict[str, object]:
        """Our own request id, and thinking off in the one way that all versions understand
        (off by default in sglang-kt 0.6.2, on with effort "max" in 0.7.2)."""
        return {"rid": rid, "chat_template_kwargs": {"thinking": False}}

    def count(self, http: httpx2.Client, url: str, model: str, message: str) -> int | None:
        """The server's own tokenizer, in pieces cut at line ends; it counts a few tokens too
        many."""
        total, begun = TEMPLATE_TOKENS, time.monotonic()
        for piece in _pieces(message):
            if time.monotonic() - begun > COUNT_SECONDS:
                return None
            body = {"model": model, "prompt": piece, "add_special_tokens": False}
            answer = http.post(f"{url}/tokenize", json=body)
            if answer.status_code != 200 or "count" not in answer.json():
                return None
            total += sure_amount_of(answer.json()["count"])
        return total

    def survey(self, http: httpx2.Client, facts: ServerFacts, patience: float) -> ServerFacts:
        """/server_info, queried once: sglang-kt keeps a query whose client has gone. The answer
        contains the API key in plain text: only the fields that `told` reads leave this
        function."""
        _make_answer(http, facts.url, patience)
        begun = time.monotonic()
        try:
            answer = http.get(f"{facts.url}/server_info", timeout=patience)
        except httpx2.TimeoutException:
            return replace(facts, is_busy=True, page=_page(facts.model, {}))
        if answer.status_code != 200:
            return facts
        known = parse_info(facts, answer.json())
        if time.monotonic() - begun > _INSTANT_SECONDS:
            return replace(known, is_busy=True)
        return _with_load(known, http, patience)

    def is_silent(self, http: httpx2.Client, url: str) -> bool | None:
        """No request runs or waits and no token is in use. During chunked prefill the request is in
        neither list, only its tokens show (real/sglang-kt-0.7.2-cpu/long.jsonl). The answer comes
        between chunks, so the timeout is long; sglang-kt answers one query at a time and the next
        at the next chunk (tokenizer_communicator_mixin.py:129), so this process sends only one."""
        with one_question:
            answer = _loads(http, url)
        if answer.status_code != 200:
            return None
        return not _works(answer.json())

    def abort(self, http: httpx2.Client, url: str, rid: str) -> bool:
        """/abort_request matches by prefix and ignores unknown ids silently. An empty prefix would
        abort all clients' requests (sglang-kt 0.7.2 scheduler.py:2823)."""
        if not rid:
            return False
        return http.post(f"{url}/abort_request", json={"rid": rid}).status_code == 200


def _make_answer(http: httpx2.Client, url: str, seconds: float) -> None:
    """Until its first request, sglang-kt with --skip-server-warmup answers no question to its
    scheduler: `get_internal_state` and `get_loads` do not start the loop that reads the scheduler's
    answers (0.7.2 tokenizer_communicator_mixin.py:911, 939; seen after a restart). /health starts
    it with a request of one token. A server whose /metrics count no prefill has had none."""
    with contextlib.suppress(httpx2.HTTPError):
        counted = http.get(f"{url}/metrics", timeout=seconds).text
        if "sglang:" in counted and not any(one in counted for one in _OF_PREFILLS):
            http.get(f"{url}/health", timeout=seconds)


def _loads(http: httpx2.Client, url: str) -> httpx2.Response:
    """Without /metrics, a server that answers nothing for long is taken for one that has had no
    request; /health of a busy one sends none."""
    _make_answer(http, url, CHUNK_SECONDS)
    with contextlib.suppress(httpx2.ReadTimeout):
        return http.get(f"{url}/v1/loads?include=core", timeout=CHUNK_SECONDS)
    with contextlib.suppress(httpx2.HTTPError):
        http.get(f"{url}/health", timeout=CHUNK_SECONDS)
    return http.get(f"{url}/v1/loads?include=core", timeout=LOADS_SECONDS)


def is_full(http: httpx2.Client, url: str) -> bool:
    """Whether as many requests wait as --max-queued-requests allows: then it refuses any other."""
    info = http.get(f"{url}/server_info", timeout=LOADS_SECONDS)
    most = count_of(info.json().get("max_queued_requests")) if info.status_code == 200 else None
    if most is None:
        return False
    with one_question:
        answer = http.get(f"{url}/v1/loads?include=core", timeout=LOADS_SECONDS)
    if answer.status_code != 200:
        return False
    return any(int(load["num_waiting_reqs"]) >= most for load in answer.json()["loads"])


def _pieces(text: str) -> list[str]:
    pieces, start = [], 0
    while start < len(text):
        end = min(start + PIECE_CHARACTERS, len(text))
        newline = text.rfind("\n", start, end)
        if end < len(text) and newline > start:
            end = newline + 1
        pieces.append(text[start:end])
        start = end
    return pieces


def parse_info(facts: ServerFacts, info: Mapping[str, object]) -> ServerFacts:
    """What the body of /server_info adds to the facts. Pure."""
    states = info.get("internal_states")
    state = states[0] if isinstance(states, list) and states else None
    effective = state.get(_EFFECTIVE) if isinstance(state, dict) else None
    radix_is_off = info.get("disable_radix_cache")
    return replace(
        facts,
        pool=count_of(info.get("max_total_num_tokens")),
        max_running=count_of(effective) or count_of(info.get("max_running_requests")),
        chunk=count_of(info.get("chunked_prefill_size")),
        page=_page(f"{facts.model} {info.get('model_path')}", info),
        has_prefix_cache=not radix_is_off if isinstance(radix_is_off, bool) else None,
        progress="metrics" if info.get("enable_metrics") is True else "loads",
        engine=_engine(info),
    )


def _engine(info: Mapping[str, object]) -> str | None:
    """The fork calls its version 0.0.0.dev0, and has options that sglang 0.5.17 with its own part
    of kt-kernel has not (real/sglang-kt-0.7.2-cpu, real/sglang-0.5.17-h100)."""
    if "kt_gpu_prefill_token_threshold" in info:
        return "sglang-kt 0.7" if "kt_lora_path" in info else "sglang-kt 0.6"
    version = info.get("version")
    is_known = isinstance(version, str) and _VERSION.fullmatch(version)
    return f"sglang {version}" if is_known and version != _NO_VERSION else None


_EFFECTIVE = "effective_max_running_requests_per_dp"


def _page(names: str, info: Mapping[str, object]) -> int | None:
    page = count_of(info.get("page_size"))
    return max(page or 1, DEEPSEEK_V4_PAGE) if bundled.is_deepseek_v4(names) else page


def _with_load(known: ServerFacts, http: httpx2.Client, patience: float) -> ServerFacts:
    """Add what it works on now."""
    try:
        with one_question:
            answer = http.get(f"{known.url}/v1/loads?include=core", timeout=patience)
    except httpx2.TimeoutException:
        return replace(known, is_busy=True)
    if answer.status_code != 200:
        return known
    body = answer.json()
    running, waiting = (
        sure_amount_of(sum(int(load[name]) for load in body["loads"]))
        for name in ("num_running_reqs", "num_waiting_reqs")
    )
    return replace(known, is_busy=_works(body), running=running, waiting=waiting)


def _works(body: Mapping[str, list[Mapping[str, Any]]]) -> bool:
    names = ("num_running_reqs", "num_waiting_reqs", "num_used_tokens")
    return any(load[name] for load in body["loads"] for name in names)
