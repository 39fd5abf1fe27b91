"""Bytes of a token in the KV pool, by config.json of models that are not DeepSeek V4."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_bundle.plan import build, profile
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.memory import token_size
from server_bundle.plan.memory.model_config import ModelConfig
from server_bundle.plan.memory.token_size import TokenSize
from server_bundle.plan.overrides import Overrides

KIMI = {
    "architectures": ["KimiK25ForConditionalGeneration"],
    "text_config": {"num_hidden_layers": 61, "kv_lora_rank": 512, "qk_rope_head_dim": 64},
}
V32 = {
    "architectures": ["DeepseekV32ForCausalLM"],
    "num_hidden_layers": 61,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "index_topk": 2048,
    "index_head_dim": 128,
}
HEADED = {
    "architectures": ["MiniMaxM2ForCausalLM"],
    "num_hidden_layers": 62,
    "num_attention_heads": 48,
    "hidden_size": 3072,
    "num_key_value_heads": 8,
    "head_dim": 128,
}


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        (KIMI, {1: 61 * 576 * 2, 4: 61 * 576 * 2}),
        (V32, {1: 61 * (576 * 2 + 132)}),
        (HEADED, {1: 62 * 8 * 256 * 2, 4: 62 * 2 * 256 * 2, 16: 62 * 256 * 2}),
    ],
)
def test_latent_vectors_are_on_every_gpu_and_heads_are_divided(
    config: dict[str, Any], sizes: dict[int, int]
) -> None:
    """As get_cell_size_per_token has it; at least one head is on each GPU."""
    found = token_size.of_config(config)
    assert found is not None
    assert {gpus: found.on_gpu(gpus, 2) for gpus in sizes} == sizes


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"architectures": []},
        {**HEADED, "architectures": ["Qwen3NextForCausalLM"]},
        {**HEADED, "num_hidden_layers": "many"},
        {**HEADED, "use_sliding_window": True},
        {**V32, "index_head_dim": None},
        {**V32, "kv_lora_rank": True},
    ],
)
def test_what_is_not_known_is_not_guessed(config: dict[str, Any]) -> None:
    """Other attention, no sizes, no numbers."""
    assert token_size.of_config(config) is None


@given(
    st.dictionaries(
        st.sampled_from(sorted({*HEADED, *V32, "text_config"})), st.integers() | st.none()
    )
)
def test_no_content_raises(changes: dict[str, Any]) -> None:
    """A size, or none."""
    for config in (HEADED, V32, KIMI):
        found = token_size.of_config({**config, **changes})
        assert found is None or found.on_gpu(4, 2) > 0


def test_the_plan_says_what_a_pool_takes() -> None:
    """Where its profile has no figures; not with another format of the cache."""

    def notes(*extra: str) -> str:
        config = ModelConfig("/m/config.json", token=TokenSize(61, latent=576))
        wish = Overrides(model="/m", version="0.7.2", config=config, extra=extra)
        found = build.with_differences(
            profile.load("kimi-k2.5-4gpu"), wish, MachineFacts(None, None, None)
        )
        return "\n".join(found.notes)

    assert "takes 70,272 bytes on each GPU, in BF16: 3.3 GiB for the 50,000 of" in notes()
    assert "13.1 GiB for the 200,000 of" in notes("--max-total-tokens", "200000")
    assert "each token" not in notes("--kv-cache-dtype", "fp8_e4m3")
