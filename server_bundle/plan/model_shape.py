"""The shape of a DeepSeek V4 model: what its memory on GPUs depends on. Pure.

How its weights are divided: sglang-kt 0.7.2 models/deepseek_v4.py (ColumnParallelLinear,
RowParallelLinear and the vocabulary are split over the GPUs; ReplicatedLinear is on each of them).
"""

from __future__ import annotations

from dataclasses import dataclass

_HASHED = 6
"""Experts that a hash layer lists for each token (`tid2eid`), 4 bytes each."""
_FP4 = 1 / 2 + 1 / 32
"""Bytes of a number in MXFP4, prepared for the GPU: 4 bits, and a byte for 32 of them."""


@dataclass(frozen=True)
class Shape:
    """Sizes in numbers, as config.json names them. `ratios`: for each layer with a KV cache, that
    of the multi-token prediction included, how many tokens its compressed cache has in one entry;
    0 without one."""

    ratios: tuple[int, ...]
    layers: int
    hidden: int
    experts: int
    expert_hidden: int
    head: int
    rope: int
    window: int
    index_head: int
    index_heads: int
    heads: int
    q_rank: int
    o_rank: int
    o_groups: int
    vocabulary: int
    shared_experts: int
    hash_layers: int
    streams: int
    """hc_mult: residual streams."""

    def layers_with(self, ratio: int) -> int:
        """How many layers have a compressed cache of this ratio."""
        return self.ratios.count(ratio)

    def split_bytes(self, gpu_experts: int) -> float:
        """Bytes of the weights that all GPUs hold together, with so many experts of each layer."""
        attention = self.heads * self.head
        each_layer = (
            self.q_rank * attention  # wq_b, FP8
            + 2 * attention * self.o_rank  # wo_a, BF16
            + self.o_groups * self.o_rank * self.hidden  # wo_b, FP8
            + self._expert * self.shared_experts  # FP8
            + gpu_experts * self._expert * _FP4
        )
        return 2 * 2 * self.vocabulary * self.hidden + self.layers * each_layer

    def copied_bytes(self) -> float:
        """Bytes of the weights that each GPU holds."""
        mixed = 2 * (2 + self.streams) * self.streams * self.streams * self.hidden * 4
        each_layer = (
            self.hidden * (self.q_rank + self.head)  # wq_a and wkv, FP8
            + 2 * self.experts * self.hidden  # the router, BF16
            + mixed  # FP32
        )
        indexer = (
            self.q_rank * self.index_heads * self.index_head  # wq_b, FP8
            + 2 * self.hidden * self.index_heads
            + self._compressor(4, self.index_head)
        )
        return (
            self.layers * each_layer
            + self.layers_with(4) * (self._compressor(4, self.head) + indexer)
            + self.layers_with(128) * self._compressor(128, self.head)
            + self.hash_layers * self.vocabulary * _HASHED * 4
        )

    @property
    def _expert(self) -> int:
        return 3 * self.hidden * self.expert_hidden

    def _compressor(self, ratio: int, head: int) -> int:
        """wkv and wgate, BF16; twice as wide where windows overlap."""
        return 2 * 2 * self.hidden * head * (2 if ratio == 4 else 1)


FLASH = Shape(
    ratios=(0, 0, *(4, 128) * 20, 4, 0),
    layers=43,
    hidden=4096,
    experts=256,
    expert_hidden=2048,
    head=512,
    rope=64,
    window=128,
    index_head=128,
    index_heads=64,
    heads=64,
    q_rank=1024,
    o_rank=1024,
    o_groups=8,
    vocabulary=129_280,
    shared_experts=1,
    hash_layers=3,
    streams=4,
)
"""DeepSeek V4 Flash."""
