"""Whether a server really answers, and the first forward before the first user pays for it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from server_bundle.launch import http_probe
from server_bundle.launch.server_state import ServerState

WARM_UP_SECONDS = 1200.0
"""For kernels that are compiled and buffers that are made at the first forward; the guide's
watchdog gives it as long."""
_SENTENCE = "The ferry was late again this morning, and nobody at the pier knew why. "
_SENTENCE_TOKENS = 12
"""Fewer than any tokenizer makes of it; 16 in DeepSeek V4's."""
_REFUSED = (401, 403)


@dataclass(frozen=True)
class Warm:
    """What the first forward showed. `why` is empty when it went well."""

    tokens: int
    why: str


def is_answering(url: str, key: str | None) -> bool:
    """Whether what sglang answers at once, also in the middle of a prefill, is answered; /health
    alone gives false alarms (docs/how-it-works.md). A refused key is an answer."""
    for path in ("/model_info", "/v1/models"):
        answer = http_probe.ask(url + path, key)
        if answer is None or answer.status not in (200, *_REFUSED):
            return False
    return True


def warm_up(url: str, model: str, tokens: int, key: str | None) -> Warm:
    """One request of at least so many prompt tokens and one token of answer."""
    wanted, read = max(1, tokens), 0
    for _ in range(2):  # the second where a tokenizer is thriftier than any known one
        answer = http_probe.ask(
            f"{url}/v1/chat/completions", key, _request(model, wanted), WARM_UP_SECONDS
        )
        if answer is None:
            return Warm(read, "the server gave no answer to it")
        if answer.status in _REFUSED:
            return Warm(read, "the server wants a key: set KTJOB_API_KEY or server.api_key_file")
        body: Any = answer.json()
        if answer.status != 200 or not isinstance(body, dict):
            told = answer.body[:300].decode(errors="replace")
            return Warm(read, f"the server answered HTTP {answer.status}: {told}")
        read = int((body.get("usage") or {}).get("prompt_tokens") or 0)
        if read >= tokens:
            return Warm(read, "")
        wanted *= 2
    return Warm(read, f"only {read:,} tokens of at least {tokens:,} were read")


def _request(model: str, tokens: int) -> dict[str, object]:
    text = f"{secrets.token_hex(8)} " + _SENTENCE * (1 + tokens // _SENTENCE_TOKENS)
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 1,
        "temperature": 0,
        "rid": secrets.token_hex(16),
    }


PAGE = 256
"""DeepSeek V4's, the largest of those in use."""


CLIP = 4096
"""SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION: what sglang reserves for an answer at most."""


_TOLERANCE = 0.99


def pool_doubts(server: ServerState) -> list[str]:
    """What should be known before the first long request, in words; empty when all is well."""
    found = []
    pool, window = server.pool, server.window
    if pool is None:
        return ["its log did not tell the size of its KV pool"]
    if server.planned_pool is not None and pool < server.planned_pool * _TOLERANCE:
        found.append(
            f"the KV pool holds {pool:,} tokens, and the plan was {server.planned_pool:,}: "
            "something else uses the GPUs' memory, or the plan does not suit this machine"
        )
    if window is not None and pool < window:
        # sglang #28530: admission wants prompt + min(max_tokens, 4096) + page, validation less.
        longest = pool - CLIP - PAGE
        found.append(
            f"the KV pool ({pool:,} tokens) is smaller than the context ({window:,}). sglang "
            f"neither refuses nor ever starts a prompt of more than {longest:,} tokens with an "
            f"answer of {CLIP:,}, and everything waits behind it: keep prompt + "
            f"min(max_tokens, {CLIP}) + {PAGE} below {pool:,} (ktjob does)"
        )
    return found
