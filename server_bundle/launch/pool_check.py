"""Whether a started server has the room that its plan promised: pure."""

from __future__ import annotations

from server_bundle.launch.server_state import KeptServer

PAGE = 256
"""DeepSeek V4's, the largest of those in use."""
CLIP = 4096
"""SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION: what sglang reserves for an answer at most."""
_TOLERANCE = 0.99


def doubts(server: KeptServer) -> list[str]:
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
