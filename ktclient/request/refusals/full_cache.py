"""Whether the words of a server's error say that its KV cache ran full while it computed. Pure."""

from __future__ import annotations

from ktclient.request.refusals.too_long import plain

_SAID = (
    "context size has been exceeded",  # llama.cpp: all slots share one cache, and all are dropped
    "kv cache is full",  # llama.cpp before 2025, and forks
    "no kv slot",
    "find a memory slot",
    "find free space in the kv cache",
    "input prompt is too big compared to kv size",
)


def is_said(words: str) -> bool:
    """Whether a server says so. With a status of the request's fault it refuses a prompt instead,
    before it computes anything."""
    told = plain(words)
    return any(one in told for one in _SAID)
