"""The GPUs: number, kind, free memory, the processes that use the rest, and for which GPUs the
compiled kernels are that the server brings."""

from __future__ import annotations

from collections.abc import Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.facts import nvidia
from server_bundle.doctor.facts.nvidia import Capability, Gpu
from server_bundle.doctor.finding import Finding, error, note, ok, warning

_ABOUT = "gpus"
_BUSY_MIB = 600
"""Memory use above this is reported: a desktop uses some hundreds of MiB on its GPU."""
_BALANCE = 0.9
"""sglang refuses to start when one GPU has less than this share of another one's free memory
(model_runner.py, SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK)."""
_FP8 = (8, 9)
_KERNELS = "kernels"
_KT, _READ = "kt-kernel", "0.7.2"
_SOURCE = (
    "the fatbin headers of sgl_kernel/sm90/common_ops (in ktransformers 0.7.2) and of "
    "sm100/common_ops (joined from five wheels)"
)
_COMPILED: tuple[Capability, ...] = ((8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0))
"""Of common_ops, both builds; none has PTX, which newer GPUs could compile. flash_ops has 8.0, 8.6
and 9.0, flashmla_ops 9.0 only."""
_OF_THE_GUIDE: Capability = (12, 0)
_RUN = {
    (9, 0): "DeepSeek V4's MXFP4 path was run on H200 by this project, with a small look-alike of "
    "the model",
    _OF_THE_GUIDE: "it is the guide's GPU (RTX 5090); this project has not run it",
}
"""What is known of a whole start, by the GPUs' compute capability."""


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


def kernels(case: Case) -> Iterator[Finding]:
    """Say for each kind of GPU whether its kernels are known to be there."""
    if case.wants_gpus == 0:
        return
    seen = {gpu.capability for gpu in case.gpus[: case.wants_gpus] if gpu.capability}
    version = case.inside.packages.get(_KT)
    for capability in sorted(seen):
        if case.is_fork and version == _READ:
            yield _of_kt(case, capability)
        elif case.version is not None:
            yield _unknown(case, capability)


def _of_kt(case: Case, capability: Capability) -> Finding:
    name, brings = _sm(capability), f"{_KT} {_READ}"
    if capability in _COMPILED and case.is_deepseek_v4 and capability in _RUN:
        return ok(_KERNELS, f"{brings} brings compiled ones for {name}; {_RUN[capability]}")
    if capability in _COMPILED:
        return note(
            _KERNELS,
            f"{brings} brings compiled ones for {name}; whether this model runs on them is not "
            "known here",
            "flashinfer, tilelang and triton compile others at the first forward, and no run on "
            "such a GPU is recorded here",
            _SOURCE,
            "`ktserver doctor --deep`, then the warm-up of `ktserver up` show it",
        )
    if capability < min(_COMPILED):
        return error(
            _KERNELS,
            f"{brings} brings none for {name}",
            "no kernel image is available for execution on the device",
            _SOURCE,
            "use a GPU with compute capability 8.0 or newer",
        )
    return note(
        _KERNELS,
        f"{brings} brings none for {name} itself: it is not known whether those for "
        f"{_sm(_nearest(capability))} run on it",
        "CUDA runs code for the same major number on a later minor one, except code for one "
        "architecture alone (sm_100a, sm_120a)",
        f"{_SOURCE}; CUDA C++ programming guide, binary compatibility",
        "`ktserver doctor --deep`, then the warm-up of `ktserver up` show it",
    )


def _unknown(case: Case, capability: Capability) -> Finding:
    if case.is_fork and case.is_deepseek_v4 and capability == _OF_THE_GUIDE:
        return ok(_KERNELS, f"for {_sm(capability)}: {_RUN[capability]}")
    return note(
        _KERNELS,
        f"for which GPUs {case.plan.engine} {case.version} brings compiled ones is not known here; "
        f"yours is {_sm(capability)}",
        f"only those of {_KT} {_READ} were read; `ktserver doctor --deep` imports the server's own",
        _SOURCE,
    )


def _nearest(capability: Capability) -> Capability:
    return max(one for one in _COMPILED if one <= capability)


def _sm(capability: Capability) -> str:
    return "sm_{}{}".format(*capability)
