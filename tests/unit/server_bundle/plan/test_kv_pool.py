"""The KV pool's arithmetic against the guide's figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_bundle.plan import kv_pool, profile
from server_bundle.plan.kv_pool import Card, Layout, Loaded
from server_bundle.plan.model_shape import FLASH

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
    assert Layout(swa_ratio=ratio).bytes_per_token() == pytest.approx(size, abs=0.01)


def test_bytes_of_a_token_with_multi_token_prediction() -> None:
    """Its rings of states are twice as long."""
    assert Layout(is_speculative=True).bytes_per_token() == pytest.approx(25_491.85, abs=0.01)


@given(
    tokens=st.integers(1, 1_500_000),
    ratio=st.sampled_from([0.02, 0.1, 0.4]),
    reserved=st.sampled_from([0.0, 3.46875]),
)
def test_the_fraction_is_the_smallest_that_holds(
    tokens: int, ratio: float, reserved: float
) -> None:
    """To a thousandth."""
    layout = Layout(swa_ratio=ratio)
    fraction = kv_pool.fraction_for(CARD, tokens, layout, reserved)
    assert kv_pool.pool(CARD, fraction, layout, reserved) >= tokens
    assert kv_pool.pool(CARD, fraction - 0.001, layout, reserved) < tokens


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


LOOK_ALIKE = replace(FLASH, ratios=(0, 0, 4, 128, 4, 128, 0), layers=6, expert_hidden=512)
"""The model of the recordings of sglang-kt 0.7.2 on one H200 and on two."""
ONE = Card(139.19, 133.87, 0.43)
"""total_gpu_memory and available_gpu_memory of the first."""


def test_the_recordings_pools() -> None:
    """bytes_per_full_token=1723.12; full=964864, swa=96256, c4=241216, c128=7538, c4_state=6016,
    c128_state=96256; and 1.48 and 1.46 GB less after them."""
    layout = Layout(LOOK_ALIKE)
    assert f"{layout.bytes_per_token():.2f}" == "1723.12"
    sizes = layout.pools(964_864)
    assert list(sizes.values()) == [964_864, 96_256, 241_216, 7_538, 6_016, 96_256]
    assert layout.allocated_gib(964_864) == pytest.approx(1.48, abs=0.04)
    assert kv_pool.pool(ONE, 0.7, layout, 3.46875) == pytest.approx(55_237_632, rel=1e-4)


@pytest.mark.parametrize(("gpus", "printed"), [(1, "3.47"), (2, "1.73")])
def test_the_recordings_reservation(gpus: int, printed: str) -> None:
    """lazy_mxfp4_slot_reservation, to its last decimal: 3.46875 and 1.734375."""
    held = Loaded(LOOK_ALIKE, gpus, 10).reservation_gib()
    assert f"{held:.2f}" == printed and held == 3.46875 / gpus


def test_from_one_gpu_to_two() -> None:
    """The second recording, computed from the first: total 138.28, 134.52 free after loading, of
    which 91.30 for the pool. A tenth of a GiB is not explained: 0.08 were gone on one
    GPU before the weights."""
    one, two = (Loaded(LOOK_ALIKE, gpus, 10) for gpus in (1, 2))
    card = ONE.with_others(one, two)
    assert card.total_gib == pytest.approx(138.28, abs=0.02)
    assert card.after_load_gib == pytest.approx(134.52, abs=0.1)
    layout, held = Layout(LOOK_ALIKE), two.reservation_gib()
    assert kv_pool.pool(card, 0.7, layout, held) == pytest.approx(56_893_952, rel=0.002)


@given(st.sampled_from([0.6, 0.7, 0.75, 0.85]), st.integers(0, 64), st.booleans())
def test_more_gpus_never_give_less(fraction: float, experts: int, reserves: bool) -> None:
    """Pool and memory after loading grow with each doubling; more experts there take from them."""
    assert FACTS is not None
    cards, pools = [], []
    for gpus in (2, 4, 8):
        loaded = replace(FACTS.loaded, gpus=gpus, gpu_experts=experts)
        card = CARD.with_others(FACTS.loaded, loaded)
        held = loaded.reservation_gib() if reserves else 0.0
        cards.append(card.after_load_gib)
        pools.append(kv_pool.pool(card, fraction, reserved_gib=held))
        more = CARD.with_others(FACTS.loaded, replace(loaded, gpu_experts=experts + 1))
        assert more.after_load_gib < card.after_load_gib
    assert cards == sorted(cards) and pools == sorted(pools)
    same = CARD.with_others(FACTS.loaded, FACTS.loaded)
    assert same.after_load_gib == pytest.approx(CARD.after_load_gib)


def test_what_cannot_be_divided() -> None:
    """Heads and groups; an expert of 32 numbers is too narrow for the prepared kernels."""
    assert Loaded(FLASH, 8, 10).refusal() is None
    assert "64 attention heads" in str(Loaded(FLASH, 3, 10).refusal())
    assert "8 groups" in str(Loaded(FLASH, 16, 10).refusal())
    assert Loaded(FLASH, 8, 10).has_layerwise_prefill()
    assert not Loaded(LOOK_ALIKE, 16, 10).has_layerwise_prefill()


def test_gpus_without_fp8_hold_less() -> None:
    """BF16 takes 1,024 bytes of a token for each layer in place of 584."""
    assert Layout(is_bf16=True).bytes_per_token() > Layout().bytes_per_token() * 1.1
