"""Which pool a plan has on other GPUs, and for other models than the profile's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_bundle.errors import PlanRefused
from server_bundle.plan import build, kv_pool, profile
from server_bundle.plan.flags import Planned
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.memory import gpus
from server_bundle.plan.memory.gpus import Gpu
from server_bundle.plan.memory.model_config import ModelConfig
from server_bundle.plan.model_shape import FLASH
from server_bundle.plan.overrides import Overrides

MAIN = profile.load("deepseek-v4-flash-4x5090")
H200 = gpus.named("H200")
LOOK_ALIKE = replace(FLASH, ratios=(0, 0, 4, 128, 4, 128, 0), layers=6, expert_hidden=512)
"""The model of the recordings of sglang-kt 0.7.2 on one H200 and on two."""


def planned(cards: tuple[Gpu, ...] = (), **more: object) -> Planned:
    machine = MachineFacts(48, 2, len(cards) or None, cards)
    wish = Overrides(model="/weights/DSV4", version="0.7.2")
    return build.with_differences(MAIN, replace(wish, **more), machine)  # type: ignore[arg-type]


def notes(found: Planned) -> str:
    return "\n".join(found.notes)


def recorded(gpus_used: int, capability: tuple[int, int]) -> Planned:
    """The recordings' deployment. Their log shows capability 8.9, which was pretended on H200."""
    return planned(
        gpu=replace(H200, capability=capability),
        gpus=gpus_used,
        config=ModelConfig("/m/config.json", LOOK_ALIKE, 1_048_576),
    )


@pytest.mark.parametrize(
    ("count", "total", "free", "reserved", "pool"),
    [(1, 139.19, 133.87, 3.46875, 55_237_632), (2, 138.28, 134.52, 1.734375, 56_893_952)],
)
def test_the_recordings(count: int, total: float, free: float, reserved: float, pool: int) -> None:
    """total_gpu_memory, available_gpu_memory, lazy_mxfp4_slot_reservation and full_token of the
    logs, from the name of the GPU and config.json alone."""
    kv = recorded(count, (8, 9)).kv
    assert kv is not None
    assert kv.card.total_gib == pytest.approx(total, abs=0.05)
    assert kv.card.after_load_gib == pytest.approx(free, abs=0.4)
    assert kv.reserved_gib == reserved
    assert f"{kv.layout.bytes_per_token():.2f}" == "1723.12"
    assert kv.pool == pytest.approx(pool, rel=0.005)
    assert kv.card.graphs_gib == pytest.approx(0.43, abs=0.15)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_h200s_hold_what_four_5090s_do_not(count: int) -> None:
    """With any number of them, by name and as nvidia-smi shows them."""
    named = planned(gpu=H200, gpus=count, context=960_512)
    here = planned((Gpu("NVIDIA H200", 143_771, (9, 0)),) * count, gpus=count, context=960_512)
    for found in (named, here):
        assert found.kv is not None and found.kv.fits and found.kv.workspace_gib > 20
        assert found.kv.reserved_gib == 0
        assert found.plan.context == 960_512
    assert f"planned for {count} x H200 (140.4 GiB, compute capability 9.0)" in notes(named)
    assert "by nvidia-smi on this machine" in notes(here)
    assert "reserves nothing for prefill of whole layers" in notes(here)
    with pytest.raises(PlanRefused, match="does not fit on these GPUs"):
        planned(gpus=2, context=960_512)


def test_the_profiles_own_gpus_keep_their_figures() -> None:
    """They come from the guide; an estimate would be less exact."""
    five = Gpu("NVIDIA GeForce RTX 5090", 32_607, (12, 0))
    for found in (planned((five,) * 4), planned(gpu=gpus.named("RTX 5090")), planned()):
        assert found.plan.planned_pool == 731_392
        assert not any("estimate" in note for note in found.notes)
    assert "planned for 4 GPUs like the profile's, RTX 5090" in notes(planned())


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        ((Gpu("NVIDIA H200", 143_771, (9, 0)),) * 3, "nvidia-smi shows no 4 GPUs here"),
        ((Gpu("NVIDIA GB10", None, (12, 1)),) * 4, "nvidia-smi shows no memory for NVIDIA GB10"),
    ],
)
def test_what_is_not_known_of_gpus_is_the_profiles(cards: tuple[Gpu, ...], words: str) -> None:
    """And said."""
    found = planned(cards)
    assert found.plan.planned_pool == 731_392 and words in notes(found)


def test_the_gpus_that_the_server_sees_count() -> None:
    """By CUDA_VISIBLE_DEVICES, the smallest of them."""
    small, large = Gpu("NVIDIA L20", 46_068, (8, 9)), Gpu("NVIDIA H200", 143_771, (9, 0))
    cards = (small, small, large, large)
    chosen = planned(cards, gpus=2, environment={"CUDA_VISIBLE_DEVICES": "2,3"})
    assert "2 x NVIDIA H200" in notes(chosen)
    assert chosen.plan.environment["CUDA_VISIBLE_DEVICES"] == "2,3"
    mixed = planned(cards, gpus=2, environment={"CUDA_VISIBLE_DEVICES": "1,2"})
    assert "2 x NVIDIA L20" in notes(mixed)


def test_memory_is_reserved_on_two_capabilities_and_with_a_threshold() -> None:
    """And an unknown capability is taken for one of them."""

    def reserved(capability: tuple[int, int] | None, **more: object) -> float:
        kv = planned(gpu=Gpu("X", 143_771, capability), **more).kv
        assert kv is not None
        return kv.reserved_gib

    for capability in ((8, 9), (12, 0), None):
        assert reserved(capability) == 3.46875
        assert reserved(capability, version="0.6.4") == 0
        assert reserved(capability, extra=("--kt-gpu-prefill-token-threshold", "0")) == 0
        assert reserved(capability, extra=("--kt-method", "FP8")) == 0
        assert reserved(capability, environment={"SGLANG_V4_USE_TRITON_KERNELS": "1"}) == 0
    for capability in ((8, 0), (9, 0), (10, 0), (12, 1)):
        assert reserved(capability) == 0


def test_gpus_without_fp8_hold_the_pool_in_bf16() -> None:
    """Below compute capability 8.9 (memory_profiler.py: use_bf16)."""
    new, old = (planned(gpu=Gpu("X", 143_771, one)).kv for one in ((9, 0), (8, 6)))
    assert new is not None and old is not None and old.pool < new.pool * 0.8


def test_a_draft_model_has_a_pool_too() -> None:
    """With --speculative-algorithm each token takes more."""
    plain, draft = (
        planned(gpu=H200, extra=extra).kv for extra in ((), ("--speculative-algorithm", "EAGLE"))
    )
    assert plain is not None and draft is not None and draft.pool < plain.pool * 0.7


def test_a_pool_in_tokens_limits_the_context() -> None:
    """Where the version takes --max-total-tokens, in whole pages; an older one drops it."""
    extra = ("--max-total-tokens", "500100")
    found = planned(gpu=H200, extra=extra)
    assert found.plan.planned_pool == 500_100 // 256 * 256
    assert found.plan.context == kv_pool.safe_context(found.plan.planned_pool)
    with pytest.raises(PlanRefused, match="smaller than the context of 600,000"):
        planned(gpu=H200, extra=extra, context=600_000)
    old = planned(gpu=H200, extra=extra, version="0.6.4").plan
    assert old.context == 1_048_576 and "--max-total-tokens" not in old.argv


def test_gpus_that_are_named_otherwise_are_not_guessed() -> None:
    """UUIDs in CUDA_VISIBLE_DEVICES: the profile's GPU is taken, and why."""
    found = planned((H200,) * 4, gpus=2, environment={"CUDA_VISIBLE_DEVICES": "GPU-aa,GPU-bb"})
    assert "CUDA_VISIBLE_DEVICES=GPU-aa,GPU-bb does not name 2 of this machine's" in notes(found)


def test_kernels_are_compiled_for_the_gpu_of_the_plan() -> None:
    """As sglang-kt's launch_server.py would, if the profile did not say it; --env over both."""
    table = planned(gpu=H200).plan.environment
    assert table["FLASHINFER_CUDA_ARCH_LIST"] == "9.0a"
    assert table["TORCH_CUDA_ARCH_LIST"] == "9.0+PTX"
    ada = planned(gpu=gpus.named("RTX 4090"))
    assert ada.plan.environment["FLASHINFER_CUDA_ARCH_LIST"] == "8.9"
    assert any(one.what == "TORCH_CUDA_ARCH_LIST" for one in ada.differences)
    ours = planned(gpu=H200, environment={"TORCH_CUDA_ARCH_LIST": "9.0"})
    assert ours.plan.environment["TORCH_CUDA_ARCH_LIST"] == "9.0"
    told = [one for one in ours.differences if one.what == "TORCH_CUDA_ARCH_LIST"]
    assert [(one.ours, one.reason) for one in told] == [("9.0", "set with --env")]
    guide = planned(gpu=H200, as_guide=True).plan.environment
    assert guide["TORCH_CUDA_ARCH_LIST"] == "12.0+PTX"


def test_a_model_that_cannot_be_read_is_the_profiles() -> None:
    """With where and why; one that can is said only where it differs."""
    lacking = planned(config=ModelConfig("/m/config.json", trouble="it has no hidden_size"))
    assert lacking.plan.planned_pool == 731_392
    assert "the profile's model. /m/config.json: it has no hidden_size" in notes(lacking)
    assert "shape" not in notes(planned(config=ModelConfig("/m/config.json", FLASH)))
    other = planned(gpu=H200, config=ModelConfig("/m/config.json", LOOK_ALIKE))
    assert "6 layers, hidden size 4,096, 256 experts 512 wide (/m/config.json)" in notes(other)


def test_no_context_is_longer_than_the_models_own() -> None:
    """Neither the profile's nor a wished one; sglang's own variable allows it."""
    short = ModelConfig("/m/config.json", FLASH, 65_536)
    assert planned(gpu=H200, config=short).plan.context == 65_536
    with pytest.raises(PlanRefused, match=r"allows 65,536\. Use --context 65536"):
        planned(gpu=H200, config=short, context=65_537)
    longer = {"SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN": "1"}
    assert (
        planned(gpu=H200, config=short, context=70_000, environment=longer).plan.context == 70_000
    )
    other = profile.load("generic-sglang")
    wish = Overrides(model="/m", version="0.5.23", config=short, context=70_000)
    with pytest.raises(PlanRefused, match="longer than the model's own"):
        build.with_differences(other, wish, MachineFacts(None, None, None))


def test_experts_that_are_too_narrow_are_refused() -> None:
    """sglang-kt 0.7.2 would raise "Marlin requires hidden/intermediate multiples of 64"."""
    narrow = replace(FLASH, expert_hidden=256)
    with pytest.raises(PlanRefused, match="32 wide, and their kernels need a multiple of 64"):
        planned(gpus=8, gpu=gpus.named("RTX 5090"), config=ModelConfig("/m", narrow))
    assert planned(gpus=8, gpu=H200, config=ModelConfig("/m", narrow)).kv is not None


@given(
    mib=st.integers(16_000, 200_000),
    capability=st.sampled_from([(8, 0), (8, 9), (9, 0), (12, 0), None]),
    count=st.sampled_from([1, 2, 4, 8]),
    context=st.none() | st.integers(1_024, 1_048_576),
)
def test_no_pool_on_any_gpu_can_deadlock(
    mib: int, capability: tuple[int, int] | None, count: int, context: int | None
) -> None:
    """A plan that fits, a refusal, or a note that no memory is left."""
    try:
        found = planned(gpu=Gpu("X", mib, capability), gpus=count, context=context)
    except PlanRefused:
        return
    if found.kv is None:
        assert "no memory is left" in notes(found)
        return
    assert found.plan.context is not None and found.plan.planned_pool is not None
    assert found.plan.context <= kv_pool.safe_context(found.plan.planned_pool)
    assert found.kv.workspace_gib >= 1
