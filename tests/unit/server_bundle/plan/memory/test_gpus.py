"""GPUs for a plan: nvidia-smi's rows, names, and which of several counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from server_bundle.errors import PlanRefused
from server_bundle.plan.memory import gpus
from server_bundle.plan.memory.gpus import Gpu

ROWS = "NVIDIA H200, 143771, 9.0\nNVIDIA H200, 143771, 9.0\n"
H200 = Gpu("NVIDIA H200", 143_771, (9, 0))
"""As the H200 of the recordings showed itself."""


def test_rows_of_nvidia_smi() -> None:
    """A DGX Spark shows no memory; what is no row is nothing."""
    assert gpus.parse(ROWS) == (H200, H200)
    assert gpus.parse("NVIDIA GB10, [N/A], 12.1\n") == (Gpu("NVIDIA GB10", None, (12, 1)),)
    assert gpus.parse("NVIDIA X, 1024, [N/A]\n") == (Gpu("NVIDIA X", 1024, None),)
    for text in ("", "No devices were found\n", "a, b\n", "\x00"):
        assert gpus.parse(text) == ()


def test_what_a_server_has_of_an_h200() -> None:
    """total_gpu_memory=139.19 GB in the log of sglang-kt on that H200."""
    assert H200.before_load_gib == pytest.approx(139.19, abs=0.02)
    assert Gpu("NVIDIA GB10", None, None).before_load_gib is None


def test_a_program_that_fails_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nvidia-smi that is missing, that fails, and that answers."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.of_machine() == ()
    program = tmp_path / "nvidia-smi"
    for script, found in (
        ("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18", ()),
        ('echo "NVIDIA H200, 143771, 9.0"', (H200,)),
        ('test -z "$KTJOB_API_KEY" && echo "NVIDIA H200, 143771, 9.0"', (H200,)),
    ):
        monkeypatch.setenv("KTJOB_API_KEY", "k3y-of-mine")
        aside = tmp_path / "aside"
        aside.write_text(f"#!/bin/sh\n{script}\n")
        aside.chmod(0o755)
        os.replace(aside, program)
        assert gpus.of_machine() == found


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("RTX 5090", 32_607),
        ("NVIDIA GeForce RTX 5090", 32_607),
        ("rtx5090", 32_607),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97_887),
        ("RTX PRO 6000", 97_887),
        ("h200", 143_771),
        ("H100", 81_559),
        ("NVIDIA L20", 46_068),
        ("RTX 4090 D", 24_564),
    ],
)
def test_names_as_people_write_them(text: str, mib: int) -> None:
    """With the vendor, with an edition, shortened."""
    assert gpus.named(text).mib == mib


@pytest.mark.parametrize("text", ["", "RTX", "Radeon", "RTX 3050"])
def test_an_unknown_name_is_refused_with_the_known_ones(text: str) -> None:
    """And with the option for all others."""
    with pytest.raises(PlanRefused, match=r"H200.*--gpu-memory GIB"):
        gpus.named(text)


def test_options() -> None:
    """A size over the name's; impossible sizes."""
    assert gpus.of_options(None, None) is None
    assert gpus.of_options(None, 24.0) == Gpu("GPU", 24_576, None)
    modified = gpus.of_options("RTX 4090", 48.0)
    assert modified is not None and (modified.mib, modified.capability) == (49_152, (8, 9))
    for gib in (0.0, -1.0, float("nan"), float("inf"), 1e9):
        with pytest.raises(PlanRefused, match="--gpu-memory"):
            gpus.of_options(None, gib)


def test_which_gpus_a_server_sees() -> None:
    """By number, as many as it uses; none where one is missing or named otherwise."""
    listed = tuple(Gpu(str(n), 1_000 + n, (9, 0)) for n in range(4))
    assert gpus.visible(listed, None, 2) == listed[:2]
    assert gpus.visible(listed, "3, 1", 2) == (listed[3], listed[1])
    for chosen, count in ((None, 5), ("7", 1), ("GPU-a1b2", 1), ("", 1), ("0", 2)):
        assert gpus.visible(listed, chosen, count) == ()


def test_the_smallest_and_the_oldest_limit_the_others() -> None:
    """Memory and capability may be those of two."""
    mixed = (Gpu("a", 24_000, (12, 0)), Gpu("b", 48_000, (8, 9)))
    assert gpus.smallest(mixed) == Gpu("a", 24_000, (8, 9))
    unknown = (Gpu("a", None, (12, 1)), Gpu("b", 48_000, (12, 1)))
    assert gpus.smallest(unknown).mib is None


def test_two_of_a_kind() -> None:
    """Drivers differ by some MiB; another capability is another kind."""
    known = gpus.named("RTX 5090")
    assert Gpu("NVIDIA GeForce RTX 5090", 32_606, (12, 0)).is_like(known)
    for other in (Gpu("x", 32_607, (9, 0)), Gpu("x", 24_564, (12, 0)), Gpu("x", None, (12, 0))):
        assert not other.is_like(known)
