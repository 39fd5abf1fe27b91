"""The GPUs: number, kind, free memory, and the processes that use the rest."""

from __future__ import annotations

from collections.abc import Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.facts import nvidia
from server_bundle.doctor.facts.nvidia import Gpu
from server_bundle.doctor.finding import Finding, error, ok, warning

_ABOUT = "gpus"
_BUSY_MIB = 600
"""Memory use above this is reported: a desktop uses some hundreds of MiB on its GPU."""
_BALANCE = 0.9
"""sglang refuses to start when one GPU has less than this share of another one's free memory
(model_runner.py, SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK)."""
_FP8 = (8, 9)


def check(case: Case) -> Iterator[Finding]:
    """Check the GPUs, if the server uses any."""
    if case.wants_gpus == 0:
        return
    trouble = _nvidia_smi(case)
    if trouble is not None:
        yield trouble
        return
    seen = case.gpus[: case.wants_gpus]
    if len(seen) < case.wants_gpus:
        yield _too_few(case)
        return
    yield ok(_ABOUT, f"{len(seen)} in use by the plan: {_kinds(seen)}")
    yield from _capabilities(case, seen)
    yield from _memory(case, seen)


def _nvidia_smi(case: Case) -> Finding | None:
    answer = nvidia.query(case.machine)
    if answer is None:
        return error(
            _ABOUT,
            "no nvidia-smi: the machine has no NVIDIA driver, or the container has no access to it",
            f"the plan needs {case.wants_gpus} {'GPU' if case.wants_gpus == 1 else 'GPUs'}",
            "",
            "install the driver (570 or newer for an RTX 5090), or use docker run --gpus all; "
            "`ktserver up` starts a small model that needs no GPU",
        )
    if answer.status != 0:
        cure = "after a driver update (version mismatch) reboot; else check dmesg"
        return error(_ABOUT, f"nvidia-smi: {answer.words}", "no GPU is usable", "", cure)
    return None


def _too_few(case: Case) -> Finding:
    there, chosen = nvidia.gpus(case.machine), case.environment.get("CUDA_VISIBLE_DEVICES")
    found = f"the machine has {len(there)}"
    if chosen is not None:
        found += f", of which CUDA_VISIBLE_DEVICES={chosen} allows {len(case.gpus)}"
    return error(
        _ABOUT,
        found,
        f"--tensor-parallel-size needs {case.wants_gpus}: CUDA error: invalid device ordinal",
        "",
        "correct CUDA_VISIBLE_DEVICES, or lower --tensor-parallel-size",
    )


def _kinds(gpus: list[Gpu]) -> str:
    names = [f"{gpu.name} ({_gib(gpu.total)}, {_dotted(gpu)})" for gpu in gpus]
    return ", ".join(
        f"{names.count(name)} x {name}" if names.count(name) > 1 else name
        for name in dict.fromkeys(names)
    )


def _gib(mib: int | None) -> str:
    return "memory unknown" if mib is None else f"{mib / 1024:.0f} GiB"


def _dotted(gpu: Gpu) -> str:
    return "sm unknown" if gpu.capability is None else "sm_{}{}".format(*gpu.capability)


def _capabilities(case: Case, gpus: list[Gpu]) -> Iterator[Finding]:
    if len({(gpu.name, gpu.total) for gpu in gpus}) > 1:
        yield warning(
            _ABOUT,
            "the GPUs are of different kinds",
            "the slowest and smallest one limits all of them",
            "sglang #1533",
            "select equal GPUs with CUDA_VISIBLE_DEVICES",
        )
    oldest = min((gpu.capability for gpu in gpus if gpu.capability), default=None)
    if oldest is not None and oldest < _FP8 and case.is_deepseek_v4:
        seen = f"compute capability {oldest[0]}.{oldest[1]} has no FP8 (E4M3)"
        why = "type fp8e4nv not supported in this architecture"
        if case.is_fork and case.is_older("0.6.3"):
            cure = "install sglang-kt 0.6.3 or newer"
            yield error(_ABOUT, seen, why, "KT #1978, #1999", cure)
        else:
            why = "it runs only in versions with special kernels"
            yield warning(_ABOUT, seen, why, "KT #1978; its tutorial", "expect it to be slow")


def _memory(case: Case, gpus: list[Gpu]) -> Iterator[Finding]:
    free = [gpu.total - gpu.used for gpu in gpus if gpu.total is not None and gpu.used is not None]
    busy = [gpu for gpu in gpus if (gpu.used or 0) > _BUSY_MIB]
    holders = [app for app in nvidia.apps(case.machine) if app.uuid in {gpu.uuid for gpu in busy}]
    if busy:
        seen = ", ".join(f"{gpu.used:,} MiB of GPU {gpu.index}" for gpu in busy) + " are in use"
        if holders:
            seen += ": " + ", ".join(f"{app.name} (process {app.pid})" for app in holders)
        cure = "stop these processes (in a container nvidia-smi does not list the host's)"
        if free and min(free) < _BALANCE * max(free) and len(gpus) > 1:
            why = "sglang refuses to start: The memory capacity is unbalanced"
            yield error(_ABOUT, seen, why, "sglang #1533, #4233", cure)
        else:
            why = "the KV pool would be smaller than planned, or loading would run out of memory"
            yield warning(_ABOUT, seen, why, "sglang model_runner.py", cure)
