"""Environment variables that some models need and that break others."""

from __future__ import annotations

from collections.abc import Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.finding import Finding, error, ok, warning

_ABOUT = "environment"
_MODE = "SGLANG_DSV4_MODE"
_SUBMODE = "SGLANG_DSV4_2604_SUBMODE"
_ARCHES = ("FLASHINFER_CUDA_ARCH_LIST", "TORCH_CUDA_ARCH_LIST")


def check(case: Case) -> Iterator[Finding]:
    """Check DeepSeek V4's mode, the architectures that kernels are compiled for, and /tmp."""
    if case.is_fork:
        yield from _deepseek_mode(case)
    yield from _architectures(case)
    yield from _temporary(case)


def _deepseek_mode(case: Case) -> Iterator[Finding]:
    mode, submode = case.environment.get(_MODE), case.environment.get(_SUBMODE)
    cure = f"set {_MODE}=2604 and {_SUBMODE}=2604B for the server only"
    if case.is_deepseek_v4:
        if mode not in ("2601", "2604"):
            seen = f"{_MODE} is {mode or 'not set'}"
            yield error(_ABOUT, seen, "NotImplementedError while loading", "KT #1998", cure)
        elif mode == "2604" and submode not in ("2604A", "2604B"):
            seen = f"{_SUBMODE} is {submode or 'not set'}"
            yield error(_ABOUT, seen, "the assertion on swiglu_limit fails", "the guide", cure)
        else:
            yield ok(_ABOUT, f"{_MODE}={mode}, {_SUBMODE}={submode}")
    elif submode and case.checkpoint.architectures:
        seen = f"{_SUBMODE}={submode} for {case.checkpoint.architectures[0]}"
        why = "swiglu_limit=10.0 is only supported on method='MXFP4'"
        yield error(_ABOUT, seen, why, "KT #2013", f"unset {_SUBMODE} and {_MODE}")


def _architectures(case: Case) -> Iterator[Finding]:
    """`12.0a`, `12.0+PTX`; several are separated by blanks or semicolons."""
    have = {gpu.capability for gpu in case.gpus[: case.wants_gpus] if gpu.capability}
    for name in _ARCHES:
        value = case.environment.get(name)
        if value is None or not have:
            continue
        named = {word.removesuffix("+PTX").rstrip("af") for word in _split(value)}
        lacking = [f"{major}.{minor}" for major, minor in have if f"{major}.{minor}" not in named]
        if lacking:
            seen = f"{name}={value}, but a GPU has {', '.join(lacking)}"
            why = "kernels are compiled for other GPUs: 'requires GPUs with sm75 or higher', or no "
            why += "kernel image"
            cure = f"unset {name}, or set it to the GPUs' compute capability"
            yield error(_ABOUT, seen, why, "the guide", cure)


def _split(value: str) -> list[str]:
    return value.replace(";", " ").replace(",", " ").split()


def _temporary(case: Case) -> Iterator[Finding]:
    """sglang starts its schedulers through a numactl script in /tmp: sglang-kt with --numa-node,
    newer upstream versions always (srt/utils/numa_utils.py)."""
    if case.is_fork and not case.flags.has("--numa-node"):
        return
    mounts = [line.split() for line in case.machine.read("proc/self/mountinfo").splitlines()]
    if any(one[4] == "/tmp" and "noexec" in one[5].split(",") for one in mounts if len(one) > 5):
        yield warning(
            _ABOUT,
            "/tmp is mounted noexec",
            "sglang starts its schedulers with a script in /tmp, and would wait for them forever",
            "sglang #40627",
            "set SGLANG_NUMA_BIND_V2=0, or mount /tmp without noexec",
        )
