"""How many tokens DeepSeek V4's KV pool holds, and what that means for a context. Pure.

The arithmetic is sglang-kt 0.6.2.post3's own (model_executor/memory_profiler.py), for the model's
shape: 44 layers with window attention, of which 21 also keep every fourth token and 20 every 128th.
The pool is not split over GPUs: each GPU holds all of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PAGE = 256
"""Tokens; sglang-kt sets it for this model (server_args.py:1203-1241)."""
SWA_RATIO = 0.1
"""--swa-full-tokens-ratio as sglang-kt sets it for this model."""
ADMISSION = 4096 + PAGE
"""Admission needs room for the prompt, for up to 4,096 tokens of the answer, and for a page
(managers/schedule_policy.py:54,763). The length check does not: sgl-project/sglang #28530."""

_GIB = 1 << 30
_LEAST_WORKSPACE_GIB = 1.0
"""With less, a server runs out of memory."""
_LAYERS, _LAYERS_4, _LAYERS_128 = 44, 21, 20
_ROPE, _NOPE, _INDEX, _WINDOW = 64, 448, 128, 128


@dataclass(frozen=True)
class Card:
    """One GPU, in GiB: free memory before loading and after it, and the size of CUDA graphs."""

    total_gib: float
    after_load_gib: float
    graphs_gib: float


@dataclass(frozen=True)
class KvPlan:
    """What one value of --mem-fraction-static gives."""

    fraction: float
    pool: int
    """Tokens: `max_total_num_tokens` in the log."""
    workspace_gib: float
    """Memory for everything else: `available_gpu_mem` in the log, minus `reserved_gib`."""
    reserved_gib: float
    context: int
    swa_ratio: float = SWA_RATIO

    @property
    def fits(self) -> bool:
        """Whether every request that passes the length check can also be admitted."""
        return self.context <= safe_context(self.pool)

    @property
    def verdict(self) -> str:
        """Whether pool and workspace are large enough, for people."""
        if self.context > self.pool:
            room = (
                f"the pool of {self.pool:,} tokens is smaller than the context of "
                f"{self.context:,}: {self._deadlock}"
            )
        elif not self.fits:
            room = (
                f"the context of {self.context:,} fills the pool of {self.pool:,} tokens: "
                f"{self._deadlock}"
            )
        else:
            room = f"the pool of {self.pool:,} tokens has room for the context of {self.context:,}"
        return f"{room}; {self._space}"

    @property
    def _deadlock(self) -> str:
        return (
            f"a request of more than {safe_context(self.pool):,} tokens can wait forever and "
            "block all requests behind it"
        )

    @property
    def _space(self) -> str:
        left = f"{self.workspace_gib:.1f} GiB of workspace"
        if self.workspace_gib < _LEAST_WORKSPACE_GIB:
            return f"{left} is too little: the server would run out of memory"
        if self.workspace_gib < 4:
            return f"{left} is little: use it only for special cases"
        return f"{left} is enough"


def bytes_per_token(swa_ratio: float = SWA_RATIO, is_speculative: bool = False) -> float:
    """Bytes of one token of the pool on every GPU: 15,955.85 at 0.1."""
    kv = _NOPE + _ROPE * 2 + 8
    indexer = _INDEX + _INDEX // 128 * 4
    ring_4, ring_128 = (16, 256) if is_speculative else (8, 128)
    head = _NOPE + _ROPE
    state_4 = ring_4 / _WINDOW * 2 * 2 * 4 * (head + _INDEX) * _LAYERS_4
    state_128 = ring_128 / _WINDOW * 2 * 4 * head * _LAYERS_128
    window = kv * _LAYERS + state_4 + state_128
    compressed = kv * _LAYERS_4 / 4 + kv * _LAYERS_128 / 128 + indexer * _LAYERS_4 / 4
    return swa_ratio * window + compressed


def pool(
    card: Card, fraction: float, swa_ratio: float = SWA_RATIO, reserved_gib: float = 0.0
) -> int:
    """Tokens that the KV pool holds; 0 when there is no memory left for it."""
    free = card.after_load_gib - card.total_gib * (1 - fraction) - reserved_gib
    return max(0, int(free * _GIB / bytes_per_token(swa_ratio)) // PAGE * PAGE)


def plan(
    card: Card,
    fraction: float,
    context: int,
    swa_ratio: float = SWA_RATIO,
    reserved_gib: float = 0.0,
) -> KvPlan:
    """Pool and workspace for one fraction."""
    workspace = card.total_gib * (1 - fraction) - card.graphs_gib
    tokens = pool(card, fraction, swa_ratio, reserved_gib)
    return KvPlan(fraction, tokens, workspace, reserved_gib, context, swa_ratio)


def safe_context(tokens: int) -> int:
    """The longest context with which a pool of `tokens` cannot deadlock."""
    return max(0, (tokens - ADMISSION) // PAGE * PAGE)


def pool_for(context: int) -> int:
    """The smallest pool that is large enough for a context."""
    return math.ceil(context / PAGE) * PAGE + ADMISSION


def most_context(card: Card, swa_ratio: float = SWA_RATIO, reserved_gib: float = 0.0) -> int:
    """The longest context whose pool leaves enough workspace on the card, in tokens."""
    fraction = 1 - (card.graphs_gib + _LEAST_WORKSPACE_GIB) / card.total_gib
    rounded = math.floor(fraction * 1000) / 1000
    return safe_context(pool(card, rounded, swa_ratio, reserved_gib))


def fraction_for(
    card: Card, tokens: int, swa_ratio: float = SWA_RATIO, reserved_gib: float = 0.0
) -> float:
    """The smallest --mem-fraction-static, to a thousandth, whose pool holds `tokens`. It may be
    more than 1: then no fraction is large enough."""
    need = math.ceil(tokens / PAGE) * PAGE * bytes_per_token(swa_ratio) / _GIB + reserved_gib
    exact = 1 - (card.after_load_gib - need) / card.total_gib
    found = math.ceil(exact * 1000) / 1000
    while pool(card, found, swa_ratio, reserved_gib) < tokens:  # rounding of floats
        found = round(found + 0.001, 3)
    return found


def layerwise_reservation_gib(experts: int, hidden: int, expert_hidden: int, gpus: int) -> float:
    """GiB on each GPU that sglang-kt 0.7.0 and later reserve beside the pool: two raw and two
    prepared MXFP4 layers (0.7.2 layers/moe/kt_ep_wrapper.py:3429-3494,
    quantization/v4_marlin_moe.py:125).
    Raw scales are 4 bytes for 32 numbers there, prepared ones 1 byte."""
    numbers = 3 * experts * hidden * (expert_hidden // gpus)
    raw, prepared = numbers // 2 + numbers // 32 * 4, numbers // 2 + numbers // 32
    return 2 * (raw + prepared) / _GIB
