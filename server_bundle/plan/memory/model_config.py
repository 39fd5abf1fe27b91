"""The `config.json` of a model: its shape, if it is a DeepSeek V4, and its longest context.

Names and defaults: sglang-kt 0.7.2 configs/model_config.py:556 (SGLANG_DSV4_MODE=2604 takes
`head_dim` and `sliding_window`) and utils/hf_transformers_utils.py:582.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import parsing
from server_bundle.plan.memory import token_size
from server_bundle.plan.memory.token_size import TokenSize
from server_bundle.plan.model_shape import Shape

NAME = "config.json"
MOST_BYTES = 10_000_000
_ARCHITECTURE = "DeepseekV4ForCausalLM"
_LARGEST = 10_000_000
"""Of any size in it: the vocabulary, the largest, has 129,280."""
_MOST_LAYERS = 2_000
_RATIOS = (0, 4, 128)
"""The compressed caches that DeepSeek V4 has, and 0 for none."""
_WINDOWS = (
    *("max_sequence_length", "seq_length", "max_seq_len", "model_max_length"),
    "max_position_embeddings",
)
"""As sglang looks for the longest context, in its order (CONTEXT_LENGTH_KEYS)."""
_HUB_NAME = re.compile(r"[\w.-]{1,200}/[\w.-]{1,200}", re.ASCII)
_SIZES: dict[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers",),
    "hidden": ("hidden_size",),
    "experts": ("n_routed_experts",),
    "expert_hidden": ("moe_intermediate_size",),
    "rope": ("qk_rope_head_dim",),
    "window": ("sliding_window", "window_size"),
    "index_head": ("index_head_dim",),
    "index_heads": ("index_n_heads",),
    "heads": ("num_attention_heads",),
    "q_rank": ("q_lora_rank",),
    "o_rank": ("o_lora_rank",),
    "o_groups": ("o_groups",),
    "vocabulary": ("vocab_size",),
    "shared_experts": ("n_shared_experts",),
    "hash_layers": ("num_hash_layers", "n_hash_layers"),
    "streams": ("hc_mult",),
}
"""Field of `Shape` to its names in config.json, the first that is there."""


@dataclass(frozen=True)
class ModelConfig:
    """What was read of one model. `longest`: of a context, in tokens. `trouble`: why `shape` is
    None, for people. `token`: of models of other kinds."""

    place: str
    shape: Shape | None = None
    longest: int | None = None
    trouble: str = ""
    token: TokenSize | None = None


def find(model: str, environment: Mapping[str, str]) -> Path | None:
    """The config.json of a model; None where there is none on this machine. `model` is a folder, or
    org/name: then it is in the cache of the Hugging Face hub that `environment` names."""
    if Path(model).is_dir():
        return Path(model) / NAME
    if not _HUB_NAME.fullmatch(model):
        return None
    return next((one for one in _in_hub(model, environment) if one.is_file()), None)


def _in_hub(model: str, environment: Mapping[str, str]) -> list[Path]:
    """The snapshot of `main` in the hub's cache, by huggingface_hub's constants.py."""
    named = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    if named is None:
        cache = environment.get("XDG_CACHE_HOME") or "~/.cache"
        named = f"{environment.get('HF_HOME') or f'{cache}/huggingface'}/hub"
    try:
        folder = Path(named).expanduser() / ("models--" + model.replace("/", "--"))
        commit = parsing.read_text(folder / "refs/main", 200, pipes=False).strip()
    except (OSError, ValueError, RuntimeError):
        return []
    return [folder / "snapshots" / commit / NAME] if re.fullmatch(r"[0-9a-f]{4,64}", commit) else []


def read(path: Path) -> ModelConfig:
    """Read one config.json. Raises nothing: `trouble` says what is wrong with it."""
    try:
        content = parsing.of_json(parsing.read_text(path, MOST_BYTES, pipes=False), infinite=True)
    except FileNotFoundError:
        return ModelConfig(str(path), trouble="there is no such file")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return ModelConfig(str(path), trouble=f"it cannot be read: {reason}")
    if not isinstance(content, dict):
        return ModelConfig(str(path), trouble="it is not a JSON object")
    longest = _longest(content)
    try:
        return ModelConfig(str(path), shape_of(content), longest)
    except ValueError as error:
        token = token_size.of_config(content)
        return ModelConfig(str(path), longest=longest, trouble=str(error), token=token)


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape of a DeepSeek V4. Raises `ValueError` for another model, and for one that lacks a
    size."""
    named = config.get("architectures")
    if isinstance(named, list) and _ARCHITECTURE not in named:
        first = str(named[0])[:100] if named else "no architecture"
        raise ValueError(f"it is of {first}, not {_ARCHITECTURE}")
    sizes = {name: _size(config, keys) for name, keys in _SIZES.items()}
    if "head_dim" in config:
        head = _size(config, ("head_dim",))
    else:
        head = _size(config, ("qk_nope_head_dim",)) + sizes["rope"]
    if min(sizes[one] for one in ("layers", "hidden", "window", "heads", "o_groups")) < 1:
        raise ValueError("one of its sizes is 0")
    if head < sizes["rope"]:
        raise ValueError(f"its head_dim ({head}) is less than qk_rope_head_dim ({sizes['rope']})")
    return Shape(ratios=_ratios(config, sizes["layers"]), head=head, **sizes)


def _size(config: Mapping[str, Any], names: tuple[str, ...]) -> int:
    name = next((one for one in names if one in config), names[0])
    value = config.get(name)
    if value is None:
        raise ValueError(f"it has no {name}")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise ValueError(f"its {name} is no size: {str(value)[:40]}")
    return value


def _ratios(config: Mapping[str, Any], layers: int) -> tuple[int, ...]:
    value = config.get("compress_ratios")
    if not isinstance(value, list) or not layers <= len(value) <= _MOST_LAYERS:
        raise ValueError(f"its compress_ratios are no list for {layers:,} layers")
    other = next((one for one in value if one not in _RATIOS or isinstance(one, bool)), None)
    if other is not None:
        raise ValueError(f"its compress_ratios have {str(other)[:40]}; known are 0, 4 and 128")
    return tuple(value)


def _longest(config: Mapping[str, Any]) -> int | None:
    """The longest context that sglang accepts; None where it is not clear."""
    text = config.get("text_config")
    table = text if isinstance(text, dict) else config
    value = next((table[name] for name in _WINDOWS if table.get(name) is not None), None)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        return None
    scaling = table.get("rope_scaling")
    if not isinstance(scaling, dict) or "original_max_position_embeddings" in scaling:
        return value
    factor = scaling.get("factor", 1)
    if scaling.get("rope_type") == "llama3" or not isinstance(factor, (int, float)):
        return value
    return int(value * factor) if 0 < factor < 1e6 else None
