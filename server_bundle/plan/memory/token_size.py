"""Bytes of a token in the KV pool of models other than DeepSeek V4, by sglang's own formula.

sglang-kt 0.7.2 model_executor/model_runner_kv_cache_mixin.py, get_cell_size_per_token: one latent
vector for each layer (MLA), or keys and values of the heads that a GPU has. Models with another
attention in some of their layers are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SPARSE = ("DeepseekV3ForCausalLM", "DeepseekV32ForCausalLM", "GlmMoeDsaForCausalLM")
"""With an indexer, if they have `index_topk` (configs/model_config.py, is_deepseek_nsa)."""
_LATENT = (*_SPARSE, "DeepseekV2ForCausalLM", "KimiK25ForConditionalGeneration")
_HEADS = (
    *("Glm4MoeForCausalLM", "LlamaForCausalLM", "MiniMaxM2ForCausalLM"),
    *("Qwen3ForCausalLM", "Qwen3MoeForCausalLM"),
)
_LARGEST = 1_000_000
_SCALE = 128
"""The indexer's keys are FP8, with a scale of 4 bytes for so many numbers."""


@dataclass(frozen=True)
class TokenSize:
    """`latent`: numbers of each layer on every GPU; `index`: bytes of each layer besides. Or
    `heads`, which GPUs divide, of `head` numbers for a key and as many for a value."""

    layers: int
    latent: int = 0
    index: int = 0
    heads: int = 0
    head: int = 0

    def on_gpu(self, gpus: int, number_bytes: int) -> int:
        """Bytes of a token on each of so many GPUs; a GPU has at least one head."""
        if self.heads:
            each = max(1, self.heads // gpus) * 2 * self.head * number_bytes
        else:
            each = self.latent * number_bytes + self.index
        return self.layers * each


def of_config(config: Mapping[str, Any]) -> TokenSize | None:
    """By the content of config.json; None for a model that is not known to be of these kinds, or
    lacks a size."""
    named = config.get("architectures")
    name = named[0] if isinstance(named, list) and named else None
    inner = config.get("text_config")
    table = inner if isinstance(inner, dict) else config
    layers = _size(table, "num_hidden_layers")
    if layers is None:
        return None
    if name in _LATENT:
        return _latent(table, layers, name in _SPARSE and table.get("index_topk") is not None)
    return _headed(table, layers) if name in _HEADS else None


def _latent(table: Mapping[str, Any], layers: int, is_sparse: bool) -> TokenSize | None:
    rank, rope = _size(table, "kv_lora_rank"), _size(table, "qk_rope_head_dim")
    index = _size(table, "index_head_dim") if is_sparse else 0
    if rank is None or rope is None or index is None:
        return None
    return TokenSize(layers, latent=rank + rope, index=index + index // _SCALE * 4)


def _headed(table: Mapping[str, Any], layers: int) -> TokenSize | None:
    queries, hidden = _size(table, "num_attention_heads"), _size(table, "hidden_size")
    heads = _size(table, "num_key_value_heads") or queries
    head = _size(table, "head_dim")
    if head is None and queries and hidden:
        head = hidden // queries
    if not heads or not head or table.get("use_sliding_window"):
        return None
    return TokenSize(layers, heads=heads, head=head)


def _size(table: Mapping[str, Any], name: str) -> int | None:
    value = table.get(name)
    is_size = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST
    return value if is_size else None
