"""Lines about memory that KTransformers writes: recorded ones, and beginnings of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_bundle.logs import line, memory
from server_bundle.logs.memory import PrefillSlots, StagingBuffer

SLOTS = (
    "KT MXFP4 layerwise prefill lazily initialized two raw + two Marlin prepared full-layer slots "
    "on cuda:0 (raw=1.88 GiB, prepared=1.59 GiB, total=3.47 GiB)"
)
STAGING = (
    "[KT] Created shared staging buffer: 32.0 MiB (shape=torch.Size([4096, 4096]), "
    "dtype=torch.bfloat16)"
)
OLD_STAGING = "[KT] Created shared staging buffer: 16.0 MiB"
"""As sglang-kt 0.6.2 writes it."""


def read(text: str) -> object:
    return memory.read(line.read(text))


@pytest.mark.parametrize("prefix", ["", "[2026-11-29 13:28:40] ", "[2026-11-29 13:36:40 TP0] "])
def test_slots_and_buffer_as_recorded(prefix: str) -> None:
    """On one H200 and, with a rank, on two."""
    assert read(prefix + SLOTS) == PrefillSlots(3.47, 1.88, 1.59)
    assert read(prefix + STAGING) == StagingBuffer(32.0)
    assert read(prefix + OLD_STAGING) == StagingBuffer(16.0)


@pytest.mark.parametrize(
    "text",
    [
        "KT MXFP4 layerwise prefill: layer=0 epoch=0 slot=0 prime",
        "KT MXFP4 layerwise prefill disabled; using hybrid CPU/GPU MoE: out of memory",
        "KT MXFP4 layerwise prefill lazily initialized (raw=1 GiB)",
        "KT MXFP4 layerwise prefill lazily initialized " + "x" * 10_000 + "(total=1 GiB)",
        "[KT] Created shared staging buffer: many MiB",
        "user: " + SLOTS,
    ],
)
def test_other_lines_are_none(text: str) -> None:
    """Nor is a line that only quotes one."""
    assert read(text) is None


@given(st.integers(0, len(SLOTS) - 1), st.integers(0, len(STAGING) - 1))
def test_a_line_that_is_cut_says_less_and_nothing_wrong(slots: int, staging: int) -> None:
    """A server may be killed in the middle of one."""
    assert read(SLOTS[:slots]) is None
    cut = read(STAGING[:staging])
    assert cut is None or cut == StagingBuffer(32.0)
