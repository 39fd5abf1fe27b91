"""The KV pool's arithmetic against the guide's figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_bundle.plan import kv_pool, profile

FACTS = profile.load("deepseek-v4-flash-4x5090").kv
assert FACTS is not None
CARD = FACTS.card


@pytest.mark.parametrize(
    ("fraction", "pool", "printed"),
    [(0.6, 758_784, "759k"), (0.7, 964_864, "965k"), (0.75, 1_067_776, "1.1M")],
)
def test_the_guides_table(fraction: float, pool: int, printed: str) -> None:
    """Three rows of --mem-fraction-static; the guide prints rounded figures."""
    found = kv_pool.pool(CARD, fraction)
    assert found == pytest.approx(pool, rel=0.001)
    rounded = f"{found / 1e6:.1f}M" if printed.endswith("M") else f"{found / 1e3:.0f}k"
    assert rounded == printed


def test_the_guides_start_up_figures() -> None:
    """max_total_num_tokens=964864 and available_gpu_mem=5.34 GB in its log."""
    plan = kv_pool.plan(CARD, 0.7, 1_048_576)
    assert plan.pool == pytest.approx(964_864, rel=0.001)
    assert plan.workspace_gib == pytest.approx(5.34, rel=0.001)


@pytest.mark.parametrize(("fraction", "printed"), [(0.6, 8.3), (0.7, 5.3)])
def test_the_guides_workspace(fraction: float, printed: float) -> None:
    """ "~8.3 GB", "~5.3 GB", "<4 GB": the first is 8.4 by its own figures."""
    assert kv_pool.plan(CARD, fraction, 1).workspace_gib == pytest.approx(printed, abs=0.11)
    assert kv_pool.plan(CARD, 0.75, 1).workspace_gib < 4


@pytest.mark.parametrize(
    ("ratio", "size"), [(0.1, 15_955.85), (0.05, 9_903.05), (0.02, 6_271.37), (0.4, 52_272.65)]
)
def test_bytes_of_a_token(ratio: float, size: float) -> None:
    """15955.85 stands in sglang-kt's log; the others follow from its formula."""
    assert kv_pool.bytes_per_token(ratio) == pytest.approx(size, abs=0.01)


def test_bytes_of_a_token_with_multi_token_prediction() -> None:
    """Its rings of states are twice as long."""
    assert kv_pool.bytes_per_token(0.1, is_speculative=True) == pytest.approx(25_491.85, abs=0.01)


@given(
    tokens=st.integers(1, 1_500_000),
    ratio=st.sampled_from([0.02, 0.1, 0.4]),
    reserved=st.sampled_from([0.0, 3.46875]),
)
def test_the_fraction_is_the_smallest_that_holds(
    tokens: int, ratio: float, reserved: float
) -> None:
    """To a thousandth."""
    fraction = kv_pool.fraction_for(CARD, tokens, ratio, reserved)
    assert kv_pool.pool(CARD, fraction, ratio, reserved) >= tokens
    assert kv_pool.pool(CARD, fraction - 0.001, ratio, reserved) < tokens


@given(st.integers(0, 2_000_000))
def test_a_safe_context_cannot_deadlock(pool: int) -> None:
    """Whatever passes the length check is admitted: prompt + min(answer, 4096) + a page."""
    context = kv_pool.safe_context(pool)
    if context:
        for answer in (1, 4_096, context // 2):
            prompt = max(0, context - 1 - answer)
            assert prompt + min(answer, 4_096) + kv_pool.PAGE < pool
        assert kv_pool.pool_for(context) <= pool


def test_the_million_needs_three_quarters() -> None:
    """The guide's own 0.7 is too little for the context that it sets."""
    assert kv_pool.fraction_for(CARD, 1_048_576) == 0.741
    assert kv_pool.safe_context(kv_pool.pool(CARD, 0.7)) == 960_512


@pytest.mark.parametrize(
    ("fraction", "context", "words"),
    [
        (0.7, 1_048_576, "smaller than the context"),
        (0.7, 964_000, "fills the pool"),
        (0.7, 600_000, "has room"),
        (0.75, 600_000, "is little"),
        (0.85, 600_000, "too little"),
    ],
)
def test_verdicts(fraction: float, context: int, words: str) -> None:
    """In words, with the numbers."""
    plan = kv_pool.plan(CARD, fraction, context)
    assert words in plan.verdict
    assert f"{context:,}" in plan.verdict
    assert plan.fits == ("has room" in plan.verdict)


def test_what_newer_versions_reserve() -> None:
    """Two raw and two prepared layers of 256 experts on four GPUs, by 0.7.2's own formulas."""
    raw = 256 * (2 * 512 * 2048 + 4096 * 256 + (2 * 512 * 128 + 4096 * 16) * 4)
    prepared = 256 * (3 * 4096 * 512 // 2 + 3 * 4096 * 512 // 32)
    expected = 2 * (raw + prepared) / 2**30
    assert kv_pool.layerwise_reservation_gib(256, 4096, 2048, 4) == pytest.approx(expected)
    assert kv_pool.pool(CARD, 0.7, reserved_gib=expected) < 750_000
