"""kt-kernel's methods by the CPU: which build of its wheel is chosen, and what that can compute."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.machines import Recorded, guide, trouble

from server_bundle import doctor
from server_bundle.doctor import Severity
from server_bundle.doctor.facts import kt_builds

EPYC = {"avx2", "avx512f", "avx512bw", "avx512_vnni", "avx512vbmi", "avx512_bf16"}
"""Zen 4, as /proc/cpuinfo writes its flags: with and without underscores."""


@pytest.mark.parametrize(
    ("flags", "build"),
    [
        (EPYC | {"amx_tile", "amx_int8", "amx_bf16"}, "amx"),
        (EPYC | {"amx_tile", "amx_int8"}, "avx512_bf16"),
        (EPYC, "avx512_bf16"),
        (EPYC - {"avx512_bf16"}, "avx512_vbmi"),
        (EPYC - {"avx512vbmi"}, "avx512_vnni"),
        ({"avx2", "avx512f", "avx512bw"}, "avx512_base"),
        ({"avx2", "avx512f"}, "avx2"),
        ({"avx2"}, "avx2"),
    ],
)
def test_the_build_that_kt_kernel_chooses(flags: set[str], build: str) -> None:
    """By kt_kernel/_cpu_detect.py of 0.7.2."""
    assert kt_builds.of_cpu(flags) == build
    assert kt_builds.missing(build, flags) == []


@pytest.mark.parametrize("method", ["AMXINT4", "AMXINT8", "FP8_PERCHANNEL"])
def test_amx_methods_need_no_amx_but_avx512(box: Recorded, model: Path, method: str) -> None:
    """Computed right on Zen 4 with AVX-512; without it their classes are in no build."""
    plan = guide(model, "--kt-method", method)
    assert trouble(box, plan) == []
    box.change("proc/cpuinfo", " avx512f ", " ")
    (finding,) = trouble(box, plan)
    assert (finding.about, finding.severity) == ("cpu", Severity.ERROR)
    assert finding.found == "no AVX-512"
    assert finding.reason == f"{method} backend not available. Required ISA: AVX512F + AVX512BW"
    assert "GPTQ_INT4" in finding.cure


@pytest.mark.parametrize(
    ("method", "instead"),
    [("MOE_INT4", "AMXINT4"), ("MOE_INT8", "AMXINT8"), ("SYCL_GPTQ_INT4", "GPTQ_INT4")],
)
def test_methods_that_no_wheel_has(box: Recorded, model: Path, method: str, instead: str) -> None:
    (finding,) = trouble(box, guide(model, "--kt-method", method))
    assert finding.severity is Severity.ERROR
    assert f"--kt-method {method} is in no build" in finding.found
    assert f"use --kt-method {instead}" in finding.cure


@pytest.mark.parametrize(
    ("installed", "severity"), [("0.7.2", Severity.ERROR), ("0.8.0", Severity.WARNING)]
)
def test_a_method_that_nothing_knows(
    box: Recorded, model: Path, installed: str, severity: Severity
) -> None:
    """A newer kt-kernel may know it."""
    box.inside(sglang_kt=installed, kt_kernel=installed, sgl_kernel=None)
    plan = guide(model, "--kt-method", "FP4", version=installed)
    (finding,) = trouble(box, plan)
    assert (finding.severity, finding.found) == (severity, "--kt-method FP4 is unknown")
    assert "MXFP4" in finding.cure and "MOE_INT4" not in finding.cure


@pytest.mark.parametrize(
    ("word", "severity", "words"),
    [
        ("amx", Severity.ERROR, "the CPU lacks amx_bf16, amx_int8, amx_tile"),
        ("avx512", Severity.NOTE, "kt-kernel ignores this word and chooses avx512_bf16"),
        ("avx512_base", Severity.NOTE, "kt-kernel would choose avx512_bf16"),
    ],
)
def test_a_build_that_the_environment_demands(
    box: Recorded, model: Path, word: str, severity: Severity, words: str
) -> None:
    plan = guide(model, "--kt-method", "RAWINT4", environment={kt_builds.VARIABLE: word})
    (finding,) = trouble(box, plan)
    assert finding.severity is severity
    assert words in finding.reason


def test_avx2_by_demand_is_avx2(box: Recorded, model: Path) -> None:
    """AMXINT4 cannot start then, although the CPU could compute it."""
    plan = guide(model, "--kt-method", "AMXINT4", environment={kt_builds.VARIABLE: "avx2"})
    found = {one.severity: one.found for one in trouble(box, plan)}
    assert found[Severity.ERROR] == f"no AVX-512 ({kt_builds.VARIABLE}=avx2)"


def test_mxfp8_without_amx_is_slow(box: Recorded, model: Path) -> None:
    (finding,) = trouble(box, guide(model, "--kt-method", "MXFP8"))
    assert (finding.severity, finding.found) == (Severity.NOTE, "--kt-method MXFP8 without AMX")


def test_the_build_is_named(box: Recorded, model: Path) -> None:
    box.inside(sglang_kt="0.7.2", kt_kernel="0.7.2", sgl_kernel=None)
    found = doctor.examine(guide(model, version="0.7.2"), box.machine())
    assert "kt-kernel's build for it: avx512_bf16" in [one.found for one in found]
