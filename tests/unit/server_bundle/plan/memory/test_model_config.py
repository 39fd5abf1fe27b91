"""config.json of a model: found, read, or said why not."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_bundle.plan.memory import model_config
from server_bundle.plan.model_shape import FLASH

FLASH_CONFIG: dict[str, Any] = {
    "architectures": ["DeepseekV4ForCausalLM"],
    "hc_mult": 4,
    "head_dim": 512,
    "hidden_size": 4096,
    "index_head_dim": 128,
    "index_n_heads": 64,
    "max_position_embeddings": 1_048_576,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_attention_heads": 64,
    "num_hidden_layers": 43,
    "num_hash_layers": 3,
    "o_groups": 8,
    "o_lora_rank": 1024,
    "q_lora_rank": 1024,
    "qk_rope_head_dim": 64,
    "rope_scaling": {"factor": 16, "original_max_position_embeddings": 65_536, "type": "yarn"},
    "sliding_window": 128,
    "vocab_size": 129_280,
    "compress_ratios": [0, 0, *[4, 128] * 20, 4, 0],
}
"""Sizes of sglang-kt 0.7.2 srt/configs/config_backup_small.json: DeepSeek V4 Flash."""
PRO = FLASH_CONFIG | {
    "hidden_size": 7168,
    "moe_intermediate_size": 3072,
    "n_routed_experts": 384,
    "num_attention_heads": 128,
    "num_hidden_layers": 61,
    "o_groups": 16,
    "q_lora_rank": 1536,
    "compress_ratios": [*[128] * 2, *[4, 128] * 29, 4, 0],
}
"""Those of config_backup_large.json: DeepSeek V4 Pro."""


def written(folder: Path, content: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_models_own_files() -> None:
    """Flash is the shape of the profile; Pro is a larger one."""
    assert model_config.shape_of(FLASH_CONFIG) == FLASH
    pro = model_config.shape_of(PRO)
    assert (pro.layers, pro.hidden, pro.experts, pro.expert_hidden) == (61, 7168, 384, 3072)
    assert pro.layers_with(4) == 30 and pro.layers_with(128) == 31


def test_other_names_of_the_same_sizes() -> None:
    """As sglang-kt's own DeepSeekV4Config has them."""
    older = {**FLASH_CONFIG, "window_size": 128, "n_hash_layers": 3, "qk_nope_head_dim": 448}
    for name in ("sliding_window", "num_hash_layers", "head_dim"):
        del older[name]
    assert model_config.shape_of(older) == FLASH


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architectures": ["DeepseekV41ForCausalLM"]}, "it is of DeepseekV41ForCausalLM"),
        ({"architectures": []}, "no architecture"),
        ({"hidden_size": None}, "it has no hidden_size"),
        ({"hidden_size": "big"}, "its hidden_size is no size: big"),
        ({"hidden_size": True}, "no size"),
        ({"hidden_size": -1}, "no size"),
        ({"hidden_size": 10**30}, "no size"),
        ({"sliding_window": 0}, "one of its sizes is 0"),
        ({"head_dim": 32}, "less than qk_rope_head_dim"),
        ({"compress_ratios": [4] * 3}, "no list for 43 layers"),
        ({"compress_ratios": None}, "no list for 43 layers"),
        ({"compress_ratios": [2] * 44}, "have 2; known are 0, 4 and 128"),
        ({"compress_ratios": [[4]] * 44}, "known are"),
        ({"compress_ratios": [0] * 100_000}, "no list"),
    ],
)
def test_what_is_no_shape_is_said(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    """With what is wrong; the context is known all the same."""
    found = model_config.read(written(tmp_path, FLASH_CONFIG | changes))
    assert found.shape is None and words in found.trouble
    assert found.longest == 1_048_576


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "it cannot be read"),
        ("[]", "not a JSON object"),
        ("[" * 5000, "it cannot be read"),
        ("x" * 11_000_000, "more than"),
        ("\udcff", "it cannot be read"),
    ],
)
def test_a_file_that_is_no_configuration(content: str, words: str, tmp_path: Path) -> None:
    """Bounded, and never raised."""
    path = tmp_path / "config.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    found = model_config.read(path)
    assert found.shape is None and found.longest is None and words in found.trouble


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nor is a folder or a missing file read."""
    os.mkfifo(tmp_path / "config.json")
    assert "pipe" in model_config.read(tmp_path / "config.json").trouble
    assert "no such file" in model_config.read(tmp_path / "none").trouble
    assert model_config.read(tmp_path).trouble


@given(
    st.dictionaries(st.sampled_from(sorted(FLASH_CONFIG)), st.integers() | st.text() | st.none())
)
def test_whatever_a_file_says_is_a_shape_or_a_reason(changes: dict[str, Any]) -> None:
    """Nothing else is raised."""
    try:
        shape = model_config.shape_of(FLASH_CONFIG | changes)
    except ValueError as error:
        assert str(error)
    else:
        assert shape.split_bytes(10) >= 0 and shape.window > 0


@pytest.mark.parametrize(
    ("content", "longest"),
    [
        (FLASH_CONFIG, 1_048_576),
        ({"max_position_embeddings": 4096}, 4096),
        ({"model_max_length": 1000, "max_position_embeddings": 4096}, 1000),
        ({"max_position_embeddings": 4096, "rope_scaling": {"factor": 4.0}}, 16_384),
        ({"max_position_embeddings": 8, "rope_scaling": {"factor": 8, "rope_type": "llama3"}}, 8),
        ({"text_config": {"max_position_embeddings": 77}}, 77),
        ({"max_position_embeddings": "many"}, None),
        ({}, None),
        ({"max_position_embeddings": 8, "rope_scaling": {"factor": float("inf")}}, None),
    ],
)
def test_the_longest_context(content: dict[str, Any], longest: int | None, tmp_path: Path) -> None:
    """As sglang's get_context_length derives it."""
    assert model_config.read(written(tmp_path, content)).longest == longest


def test_where_it_is_looked_for(tmp_path: Path) -> None:
    """In a folder, and for a hub name in the cache that the variables name."""
    local = written(tmp_path / "weights", FLASH_CONFIG)
    assert model_config.find(str(local.parent), {}) == local
    commit = "6d6f6465" * 5
    for folder, names in (
        (tmp_path / "a", {"HF_HUB_CACHE": str(tmp_path / "a")}),
        (tmp_path / "b/hub", {"HF_HOME": str(tmp_path / "b")}),
        (tmp_path / "c/huggingface/hub", {"XDG_CACHE_HOME": str(tmp_path / "c")}),
    ):
        repo = folder / "models--org--Name"
        there = written(repo / "snapshots" / commit, FLASH_CONFIG)
        assert model_config.find("org/Name", names) is None
        (repo / "refs").mkdir()
        (repo / "refs/main").write_text(f"{commit}\n")
        assert model_config.find("org/Name", names) == there
        assert model_config.find("org/Other", names) is None
        (repo / "refs/main").write_text("../../../etc")
        assert model_config.find("org/Name", names) is None
    for name in ("no/such/folder", "/no/folder", "name", "a\0b/c"):
        assert model_config.find(name, {"HF_HOME": str(tmp_path / "b")}) is None


def test_another_shape_is_another_pool() -> None:
    """What the file says is what the arithmetic takes."""
    wide = model_config.shape_of(FLASH_CONFIG | {"moe_intermediate_size": 512})
    assert wide == replace(FLASH, expert_hidden=512)
