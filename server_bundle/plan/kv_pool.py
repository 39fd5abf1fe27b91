"""How many tokens DeepSeek V4's KV pool holds, and what that means for a context. Pure.

The arithmetic is sglang-kt's own (model_executor/memory_profiler.py), by the model's shape.
0.6.2.post3 and 0.7.2 differ in the reservation, and in what GPUs without FP8 take. The pool is not
split over GPUs: each GPU holds all of it. Checked against recordings of 0.7.2: bytes of a token,
sizes of all pools, the reservation, and the memory left on one GPU and on each of two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from server_bundle.plan.model_shape import FLASH, Shape

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
NCCL_GIB = 0.92
"""Memory on each GPU for the connections between several: "Init torch distributed ends … mem
usage" was 0.09 GB on one H200 and 1.01 GB on each of two."""
_SCALES = 8
"""Bytes of the scales of a token's KV in FP8, for each layer."""
_MARLIN = 64
"""The layerwise prefill needs widths that are multiples of this (quantization/v4_marlin_moe.py)."""


@dataclass(frozen=True)
class Layout:
    """What a token of the pool consists of. `is_bf16`: on GPUs with a compute capability below 8.9
    (0.6.3 and later)."""

    shape: Shape = FLASH
    swa_ratio: float = SWA_RATIO
    is_speculative: bool = False
    is_bf16: bool = False

    def bytes_per_token(self) -> float:
        """`bytes_per_full_token` in the log: 15,955.85 for DeepSeek V4 Flash."""
        shape = self.shape
        c4, c128 = shape.layers_with(4), shape.layers_with(128)
        kv, indexer = self._kv_bytes()
        ring_4, ring_128 = self._rings()
        state_4 = ring_4 / shape.window * 2 * 2 * 4 * (shape.head + shape.index_head) * c4
        state_128 = ring_128 / shape.window * 2 * 4 * shape.head * c128
        window = kv * len(shape.ratios) + state_4 + state_128
        return self.swa_ratio * window + kv * c4 / 4 + kv * c128 / 128 + indexer * c4 / 4

    def pools(self, tokens: int) -> dict[str, int]:
        """The sizes of all pools of a full one of `tokens`, as "DSv4 pool sizes" names them."""
        swa = int(tokens * self.swa_ratio) // PAGE * PAGE
        ring_4, ring_128 = self._rings()
        windows = swa // self.shape.window
        return {
            "full": tokens,
            "swa": swa,
            "c4": tokens // 4,
            "c128": tokens // 128,
            "c4_state": windows * ring_4,
            "c128_state": windows * ring_128,
        }

    def allocated_gib(self, tokens: int) -> float:
        """GiB that the pools take from a GPU. The layer of the multi-token prediction is counted in
        the bytes of a token, but has no pool before it is used."""
        unused = max(0, len(self.shape.ratios) - self.shape.layers)
        unused = 0 if self.is_speculative else unused
        each = self.bytes_per_token() - self.swa_ratio * self._kv_bytes()[0] * unused
        return tokens * each / _GIB

    def _kv_bytes(self) -> tuple[int, int]:
        """Bytes of a token for each layer, and for each layer with an index."""
        shape, nope = self.shape, self.shape.head - self.shape.rope
        if self.is_bf16:
            return 2 * shape.head, 2 * shape.index_head
        return nope + shape.rope * 2 + _SCALES, shape.index_head + shape.index_head // 128 * 4

    def _rings(self) -> tuple[int, int]:
        return (16, 256) if self.is_speculative else (8, 128)


USUAL = Layout()


@dataclass(frozen=True)
class Card:
    """One GPU, in GiB: free memory before loading and after it, and the size of CUDA graphs."""

    total_gib: float
    after_load_gib: float
    graphs_gib: float

    def with_others(self, before: Loaded, after: Loaded) -> Card:
        """An estimate of the same GPU with other weights, from one whose figures are known. CUDA
        graphs grow with the layers: 0.43 GiB for 6 of them in the recordings, 3.84 for 43 by the
        guide's figures."""
        nccl = NCCL_GIB * ((before.gpus > 1) - (after.gpus > 1))
        total = self.total_gib + nccl
        beside = self.total_gib - self.after_load_gib - before.weights_gib()
        graphs = self.graphs_gib * after.shape.layers / before.shape.layers
        return Card(total, total - beside - after.weights_gib(), graphs)


@dataclass(frozen=True)
class Loaded:
    """What is loaded: a model, on so many GPUs, with so many experts of each layer on them."""

    shape: Shape
    gpus: int
    gpu_experts: int

    def weights_gib(self) -> float:
        """On each GPU, in GiB. Libraries, rotary tables and buffers come besides: 2.14 on one H200
        and 2.13 on each of two, of which the tables of a million positions are a quarter."""
        shape = self.shape
        return (shape.split_bytes(self.gpu_experts) / self.gpus + shape.copied_bytes()) / _GIB

    @property
    def expert_width(self) -> int:
        """Of an expert on each GPU."""
        return self.shape.expert_hidden // self.gpus

    def reservation_gib(self) -> float:
        """What 0.7.0 and later reserve on each GPU beside the pool, in GiB."""
        shape = self.shape
        return layerwise_reservation_gib(
            shape.experts, shape.hidden, shape.expert_hidden, self.gpus
        )

    def refusal(self) -> str | None:
        """Why sglang does not divide this model over so many GPUs; None if it does."""
        for what, number in (
            ("attention heads", self.shape.heads),
            ("groups of its output projection", self.shape.o_groups),
            ("numbers of an expert's width", self.shape.expert_hidden),
        ):
            if number % self.gpus:
                return f"the model's {number:,} {what} cannot be divided by {self.gpus}"
        return None

    def has_layerwise_prefill(self) -> bool:
        """Whether the prepared MXFP4 kernels can compute experts of this width."""
        return self.expert_width % _MARLIN == 0 and self.shape.hidden % _MARLIN == 0


RESERVING = ((8, 9), (12, 0))
"""Compute capabilities for which memory is reserved: sglang-kt 0.7.2 layers/moe/kt_ep_wrapper.py,
_mxfp4_pipeline_backend_supported. Others compute the experts without prepared layers."""


@dataclass(frozen=True)
class Basis:
    """On what a pool is planned: a GPU with what is loaded there, and its compute capability (None
    when unknown: then it is taken for one that reserves memory)."""

    card: Card
    loaded: Loaded
    capability: tuple[int, int] | None

    def card_with(self, loaded: Loaded) -> Card:
        """The same GPU with other weights."""
        return self.card if loaded == self.loaded else self.card.with_others(self.loaded, loaded)

    @property
    def reserves(self) -> bool:
        """Whether 0.7.0 and later reserve memory on it for prefill of whole layers."""
        return self.capability is None or self.capability in RESERVING

    @property
    def is_bf16(self) -> bool:
        """Whether it has no FP8 for the pool."""
        return self.capability is not None and self.capability < (8, 9)


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
    layout: Layout
    card: Card

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


def pool(card: Card, fraction: float, layout: Layout = USUAL, reserved_gib: float = 0.0) -> int:
    """Tokens that the KV pool holds; 0 when there is no memory left for it."""
    free = (card.after_load_gib - card.total_gib * (1 - fraction) - reserved_gib) * _GIB
    if layout.is_speculative:  # the draft model's layer has a pool too
        free *= len(layout.shape.ratios) / (len(layout.shape.ratios) + 1)
    return max(0, int(free / layout.bytes_per_token()) // PAGE * PAGE)


def plan(
    card: Card,
    fraction: float,
    context: int,
    layout: Layout = USUAL,
    reserved_gib: float = 0.0,
) -> KvPlan:
    """Pool and workspace for one fraction."""
    workspace = card.total_gib * (1 - fraction) - card.graphs_gib
    tokens = pool(card, fraction, layout, reserved_gib)
    return KvPlan(fraction, tokens, workspace, reserved_gib, context, layout, card)


def safe_context(tokens: int) -> int:
    """The longest context with which a pool of `tokens` cannot deadlock."""
    return max(0, (tokens - ADMISSION) // PAGE * PAGE)


def pool_for(context: int) -> int:
    """The smallest pool that is large enough for a context."""
    return math.ceil(context / PAGE) * PAGE + ADMISSION


def most_context(card: Card, layout: Layout = USUAL, reserved_gib: float = 0.0) -> int:
    """The longest context whose pool leaves enough workspace on the card, in tokens."""
    fraction = 1 - (card.graphs_gib + _LEAST_WORKSPACE_GIB) / card.total_gib
    rounded = math.floor(fraction * 1000) / 1000
    return safe_context(pool(card, rounded, layout, reserved_gib))


def fraction_for(
    card: Card, tokens: int, layout: Layout = USUAL, reserved_gib: float = 0.0
) -> float:
    """The smallest --mem-fraction-static, to a thousandth, whose pool holds `tokens`. It may be
    more than 1: then no fraction is large enough."""
    need = math.ceil(tokens / PAGE) * PAGE * layout.bytes_per_token() / _GIB
    if layout.is_speculative:
        need *= (len(layout.shape.ratios) + 1) / len(layout.shape.ratios)
    need += reserved_gib
    exact = 1 - (card.after_load_gib - need) / card.total_gib
    found = math.ceil(exact * 1000) / 1000
    while pool(card, found, layout, reserved_gib) < tokens:  # rounding of floats
        found = round(found + 0.001, 3)
    return found


def layerwise_reservation_gib(experts: int, hidden: int, expert_hidden: int, gpus: int) -> float:
    """GiB on each GPU that sglang-kt 0.7.0 and later reserve beside the pool: two raw and two
    prepared MXFP4 layers (0.7.2 layers/moe/kt_ep_wrapper.py:3425-3494,
    quantization/v4_marlin_moe.py:103,111), on GPUs with compute capability 8.9 and 12.0 and with a
    --kt-gpu-prefill-token-threshold. Raw scales are 4 bytes for 32 numbers there, prepared ones 1
    byte. Its log has two decimals of it: 3.47 for a width of 512 on each GPU, 1.73 for 256."""
    numbers = 3 * experts * hidden * (expert_hidden // gpus)
    raw, prepared = numbers // 2 + numbers // 32 * 4, numbers // 2 + numbers // 32
    return 2 * (raw + prepared) / _GIB
