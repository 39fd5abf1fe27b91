"""Three versions of CUDA: the driver's, torch's and nvcc's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.facts import nvidia
from server_bundle.doctor.facts.nvidia import Capability
from server_bundle.doctor.finding import Finding, error, note, ok, warning

_ABOUT = "driver"
_OLDEST_FOR: tuple[tuple[Capability, Capability], ...] = (
    ((12, 0), (12, 8)),
    ((10, 0), (12, 8)),
    ((9, 0), (11, 8)),
    ((8, 9), (11, 8)),
)
"""(compute capability, the oldest CUDA that supports it), by CUDA's release notes."""


def check(case: Case) -> Iterator[Finding]:
    """Check the versions, if the server uses GPUs."""
    if not case.gpus or case.wants_gpus == 0:
        return
    known = nvidia.cuda_of_driver(case.machine)
    newest = max((gpu.capability for gpu in case.gpus if gpu.capability), default=(0, 0))
    needed = next((cuda for sm, cuda in _OLDEST_FOR if newest >= sm), (0, 0))
    yield from _driver(case, known, needed)
    yield from _torch(case, known, needed)
    yield from _compiler(case, needed)


def _words(cuda: Capability) -> str:
    return f"{cuda[0]}.{cuda[1]}"


def _driver(case: Case, known: Capability | None, needed: Capability) -> Iterator[Finding]:
    name = f"driver {case.gpus[0].driver}"
    if known is None:
        yield note(_ABOUT, name, "nvidia-smi does not show its CUDA version", "")
    elif known < needed:
        why = f"{case.gpus[0].name} needs CUDA {_words(needed)}"
        cure = "install a newer driver: 570 or newer for CUDA 12.8"
        yield error(_ABOUT, f"{name} supports CUDA {_words(known)}", why, "the guide", cure)
    else:
        yield ok(_ABOUT, f"{name} supports CUDA {_words(known)}")


def _torch(case: Case, known: Capability | None, needed: Capability) -> Iterator[Finding]:
    installed = case.inside.packages.get("torch", "")
    if installed.endswith("+cpu"):
        cure = "install torch without the package index for CPU builds"
        yield error(_ABOUT, f"torch {installed}", "it is built without CUDA", "", cure)
        return
    built = _cuda_of_torch(installed, case.inside.packages)
    if built is None:
        return
    seen = f"torch {installed} is built for CUDA {_words(built)}"
    if known is not None and built[0] > known[0]:
        why = f"The NVIDIA driver on your system is too old: it supports CUDA {_words(known)}"
        cure = "install a newer driver (580 for CUDA 13), or a torch for the older CUDA"
        yield error(_ABOUT, seen, why, "sglang #11395", cure)
    elif built < needed:
        why = f"no kernel image is available for execution on {case.gpus[0].name}"
        cure = f"install a torch for CUDA {_words(needed)} or newer"
        yield error(_ABOUT, seen, why, "pytorch #167244", cure)


def _cuda_of_torch(version: str, packages: dict[str, str]) -> Capability | None:
    local = re.search(r"\+cu(\d+)(\d)$", version)
    if local:
        return int(local[1]), int(local[2])
    runtime = next(
        (v for name, v in packages.items() if name.startswith("nvidia-cuda-runtime")), ""
    )
    found = re.match(r"(\d+)\.(\d+)", runtime)
    return (int(found[1]), int(found[2])) if found and version else None


def _compiler(case: Case, needed: Capability) -> Iterator[Finding]:
    """Look for nvcc where flashinfer does: in CUDA_HOME, PATH and the default folder."""
    home = case.environment.get("CUDA_HOME")
    places = [*([f"{home}/bin/nvcc"] if home else []), "nvcc", "/usr/local/cuda/bin/nvcc"]
    found = ((place, nvidia.cuda_of_compiler(case.machine, place)) for place in places)
    place, release = next(((p, r) for p, r in found if r is not None), ("", None))
    if release is None:
        yield warning(
            _ABOUT,
            "no nvcc",
            "flashinfer and sglang compile kernels on first use, and would fail then",
            "flashinfer #3675",
            f"install the CUDA toolkit {_words(needed) if needed > (0, 0) else ''}".rstrip()
            + ", or set CUDA_HOME",
        )
    elif release < needed:
        why = "nvcc fatal: Unsupported gpu architecture, or 'requires GPUs with sm75 or higher'"
        cure = f"install the CUDA toolkit {_words(needed)} or newer, first in PATH or as CUDA_HOME"
        seen = f"{place} is from CUDA {_words(release)}"
        yield error(_ABOUT, seen, why, "flashinfer #1658", cure)
    else:
        yield ok(_ABOUT, f"{place} is from CUDA {_words(release)}")
