"""Whether a server answers over HTTP, and the warm-up request.

`ktserver up` warms up what it starts. After a crash the supervisor sends the same request: else the
first request after a restart pays for kernels and lazy buffers.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import known_secrets
from server_bundle.launch import http_probe
from server_bundle.launch.server_state import ServerState
from server_bundle.plan import key_file
from server_bundle.plan.launch_plan import LaunchPlan

WARM_UP_SECONDS = 1200.0
"""Timeout of the warm-up: the first forward compiles kernels and allocates buffers. The guide's
watchdog timeout is the same."""
ANSWER_SECONDS = 300.0
"""How long after READY in its log a server may take to answer: sglang opens its port last."""
LOOK_SECONDS = 0.5
_SENTENCE = "The ferry was late again this morning, and nobody at the pier knew why. "
_SENTENCE_TOKENS = 12
"""A lower bound for every tokenizer; DeepSeek V4's gives 16."""
_REFUSED = (401, 403)
LLAMA_CPP = "llama.cpp"
"""The engine of `ktserver up --gguf`."""


@dataclass(frozen=True)
class Warm:
    """The result of the warm-up: prompt tokens, and why it failed (empty on success)."""

    tokens: int
    why: str


def is_answering(url: str, key: str | None, engine: str = "sglang") -> bool:
    """Whether the server answers requests that sglang answers immediately, also during a prefill.
    Its /health alone gives false alarms (docs/how-it-works.md); llama.cpp has no /model_info, and
    its /health is 503 until the model is loaded. A refused key is an answer."""
    for path in ("/health" if engine == LLAMA_CPP else "/model_info", "/v1/models"):
        answer = http_probe.get(url + path, key)
        if answer is None or answer.status not in (200, *_REFUSED):
            return False
    return True


def warm_up(url: str, model: str, tokens: int, key: str | None) -> Warm:
    """Send one request of at least `tokens` prompt tokens and one token of answer."""
    wanted, read = max(1, tokens), 0
    for _ in range(2):  # a second one for a tokenizer that makes fewer tokens than all known ones
        answer = http_probe.get(
            f"{url}/v1/chat/completions", key, _request(model, wanted), WARM_UP_SECONDS
        )
        if answer is None:
            return Warm(read, "the server did not answer the request")
        if answer.status in _REFUSED:
            return Warm(read, "the server needs a key: set KTJOB_API_KEY or server.api_key_file")
        body: Any = answer.json()
        if answer.status != 200 or not isinstance(body, dict):
            told = known_secrets.hide_foreign(answer.body[:3000].decode(errors="replace"))[:300]
            return Warm(read, f"the server answered HTTP {answer.status}: {told}")
        read = int((body.get("usage") or {}).get("prompt_tokens") or 0)
        if read >= tokens:
            return Warm(read, "")
        wanted *= 2
    return Warm(read, f"the server read only {read:,} of at least {tokens:,} prompt tokens")


def _request(model: str, tokens: int) -> dict[str, object]:
    text = f"{secrets.token_hex(8)} " + _SENTENCE * (1 + tokens // _SENTENCE_TOKENS)
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 1,
        "temperature": 0,
        "rid": secrets.token_hex(16),
    }


class WarmUp:
    """One warm-up, in a thread of its own. It ends with its request, so soon after the server."""

    def __init__(self, plan: LaunchPlan) -> None:
        self._plan = plan
        self._warm: Warm | None = None
        self._began = time.monotonic()
        self._seconds = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def in_words(self) -> str | None:
        """How it ended, for the log; None before its end."""
        warm = self._warm
        if warm is None:
            return None
        if warm.why:
            return f"the warm-up failed after {self._seconds:.1f} s: {warm.why}"
        return f"warmed up with {warm.tokens:,} tokens in {self._seconds:.1f} s"

    def _run(self) -> None:
        warm = self._warmed()
        self._seconds = time.monotonic() - self._began
        self._warm = warm

    def _warmed(self) -> Warm:
        plan = self._plan
        try:
            key = key_of(plan)
            while not is_answering(plan.url, key):
                if time.monotonic() - self._began > ANSWER_SECONDS:
                    return Warm(0, f"it did not answer for {ANSWER_SECONDS:g} s")
                time.sleep(LOOK_SECONDS)
            return warm_up(plan.url, plan.served_name, plan.warmup_tokens, key)
        except Exception as error:  # supervision must not end with it
            return Warm(0, str(error) or type(error).__name__)


def key_of(plan: LaunchPlan) -> str | None:
    """The server's key, from the file that the server itself reads; None where it has none."""
    words = plan.argv
    names = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--config"]
    return key_file.read(Path(names[-1])) if names else None


PAGE = 256
"""Page size of DeepSeek V4, the largest in use."""


CLIP = 4096
"""SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION: the most that sglang reserves for an answer."""


_TOLERANCE = 0.99


def pool_doubts(server: ServerState) -> list[str]:
    """Warnings to show before the first long request; empty when there are none."""
    if server.engine == LLAMA_CPP:  # each slot has the memory of a whole window
        return []
    found = []
    pool, window = server.pool, server.window
    if pool is None:
        return ["the server's log does not show the size of its KV pool"]
    if server.planned_pool is not None and pool < server.planned_pool * _TOLERANCE:
        found.append(
            f"the KV pool holds {pool:,} tokens; the plan expected {server.planned_pool:,}. "
            "Another process uses the GPUs' memory, or the plan does not suit this machine"
        )
    if window is not None and pool < window:
        # sglang #28530: admission needs prompt + min(max_tokens, 4096) + page, validation less.
        longest = pool - CLIP - PAGE
        found.append(
            f"the KV pool ({pool:,} tokens) is smaller than the context ({window:,}). sglang "
            f"accepts a prompt of more than {longest:,} tokens with an answer of {CLIP:,}, but "
            "never starts it, and all later requests wait behind it: keep prompt + "
            f"min(max_tokens, {CLIP}) + {PAGE} below {pool:,} (ktjob does)"
        )
    return found


_ROUNDING_GIB = 0.02
"""The log has two decimals."""


def reservation(server: ServerState) -> str:
    """What the server keeps on each GPU for prefill of whole layers, and whether that was planned;
    empty where it is nothing, as planned."""
    figures, planned = server.figures, server.planned_reserved
    reserved, slots = figures.get("reserved"), figures.get("slots")
    parts = []
    if reserved is not None and max(reserved, planned or 0.0) > _ROUNDING_GIB:
        off = None if planned is None else reserved - planned
        parts.append(f"{reserved:.2f} GiB reserved for prefill of whole layers{_compared(off)}")
    if slots is not None:
        beyond = 0.0 if reserved is None else slots - reserved
        more = f", {beyond:.2f} GiB more than reserved" if beyond > _ROUNDING_GIB else ""
        parts.append(f"{slots:.2f} GiB allocated{more}")
    elif parts and reserved:
        parts.append("not allocated before the first long prompt")
    if "staging" in figures:
        parts.append(f"staging buffer {figures['staging']:g} MiB")
    return "; ".join(parts)


def _compared(off: float | None) -> str:
    if off is None:
        return ""
    if abs(off) <= _ROUNDING_GIB:
        return ", as planned"
    return f", {abs(off):.2f} GiB {'more' if off > 0 else 'less'} than planned"
