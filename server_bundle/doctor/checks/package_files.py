"""Whether the files of the server's packages are whole: by the lists that the packages brought with
them (RECORD), and by the parts from which sgl_kernel joins its kernels."""

from __future__ import annotations

from collections.abc import Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.facts.packages import Damaged
from server_bundle.doctor.finding import Finding, error, note, warning
from server_bundle.plan import version_rules

_ABOUT = "packages"
_KERNEL, _KT = "sgl-kernel", "kt-kernel"
_LOADED = (
    *("sglang", "sglang-kt", _KT, _KERNEL, "sglang-kernel", "torch", "triton", "transformers"),
    *("transformers-kt", "accelerate-kt", "flashinfer-python", "flashinfer-cubin", "tilelang"),
    *("apache-tvm-ffi", "z3-solver", "tokenizers", "ktransformers"),
)
"""Packages that every start loads: without a file of theirs it fails."""
_HOPPER = (9, 0)
_PART = "_sgl_kernel_payload"
_SHARED = "kt-kernel 0.7.2: its RECORD and METADATA"
_PAYLOAD = "kt-kernel 0.7.2 sgl_kernel/load_utils.py, payload_runtime.py, _payload_manifest.py"


def check(case: Case) -> Iterator[Finding]:
    """Check the files, the two packages that write the same ones, and the kernels for the GPU."""
    yield from (finding for one in case.inside.damaged for finding in _damaged(case, one))
    yield from _two_kernels(case)
    yield from _parts(case)
    yield from _hopper(case)


def _has_own_kernel(case: Case) -> bool:
    """Whether kt-kernel brings the import package sgl_kernel."""
    version = case.inside.packages.get(_KT)
    return version is not None and version_rules.satisfies(version, ">=0.7.0")


def _damaged(case: Case, one: Damaged) -> Iterator[Finding]:
    version = case.inside.packages.get(one.package, "")
    counts = ((one.missing, "missing"), (one.changed, "changed since its installation"))
    what = " and ".join(f"{count:,} {word}" for count, word in counts if count)
    seen = f"{one.package} {version}: of its {one.files:,} files {what}"
    why = f"for example {', '.join(one.examples)}"
    if one.others:
        why += f"; {_and(one.others)} installed the same files"
    elif one.missing:
        why += "; another package that had the same files was uninstalled, or someone deleted them"
    cure = f"{case.plan.python} -m pip install --force-reinstall --no-deps {one.package}=={version}"
    if one.package == _KT and _KERNEL in case.inside.packages:
        cure = f"{case.plan.python} -m pip uninstall -y {_KERNEL}, then {cure}"
    if one.package not in _LOADED:
        if one.missing or one.others:
            yield warning(_ABOUT, seen, why, "its RECORD", cure)
    elif one.missing or one.others:
        yield error(_ABOUT, seen, why, "its RECORD", cure)
    else:
        yield note(_ABOUT, seen, why, "its RECORD", f"to undo the changes: {cure}")


def _two_kernels(case: Case) -> Iterator[Finding]:
    version = case.inside.packages.get(_KERNEL)
    is_said = any({_KT, *one.others} >= {_KT, _KERNEL} for one in case.inside.damaged)
    if version is None or not _has_own_kernel(case) or is_said:
        return
    kernel = f"{_KT} {case.inside.packages[_KT]}"
    yield warning(
        _ABOUT,
        f"{_KERNEL} {version} beside {kernel}",
        f"both install the files of sgl_kernel: whichever is updated or removed next breaks the "
        f"other. {_KT} needs no {_KERNEL}",
        _SHARED,
        f"{case.plan.python} -m pip uninstall -y {_KERNEL}, then {case.plan.python} -m pip install "
        f"--force-reinstall --no-deps {_KT}=={case.inside.packages[_KT]}",
    )


def _parts(case: Case) -> Iterator[Finding]:
    kernels = case.inside.kernels
    if case.wants_gpus == 0 or kernels is None or not kernels.absent or kernels.built:
        return
    names = [one.removesuffix(_PART).replace("_", "-") for one in kernels.absent]
    why = (
        f"sgl_kernel joins its CUDA kernels from {kernels.parts} packages at its first import: "
        "'Could not load any common_ops library', and the pip command of that message makes it "
        "worse"
    )
    wanted = " ".join(_pinned(case, name) for name in names)
    cure = f"{case.plan.python} -m pip install --no-deps {wanted}"
    yield error(_ABOUT, f"sgl_kernel's kernels lack the part of {_and(names)}", why, _PAYLOAD, cure)


def _pinned(case: Case, name: str) -> str:
    """`ktransformers` has the version of kt-kernel; the others are pinned by sglang-kt."""
    version = case.inside.packages.get(name) or case.inside.packages.get(_KT)
    is_of_family = name in ("ktransformers", "sglang-kt")
    return f"{name}=={version}" if is_of_family and version else name


def _hopper(case: Case) -> Iterator[Finding]:
    kernels = case.inside.kernels
    has_any = kernels is not None and (kernels.built or kernels.parts)
    if kernels is None or not has_any or "sm90" in kernels.built:
        return
    hopper = next((gpu for gpu in case.gpus if gpu.capability == _HOPPER), None)
    if hopper is None or case.wants_gpus == 0:
        return
    yield error(
        _ABOUT,
        f"sgl_kernel has no kernels for {hopper.name} (sm_90)",
        "'Could not load any common_ops library': Hopper has a build of its own, sm90, which "
        "kt-kernel's wheel lacks",
        _PAYLOAD,
        "use GPUs that are not Hopper, sglang-kt 0.6.2.post3 with sgl-kernel 0.3.21, or upstream "
        "sglang",
    )


def _and(names: tuple[str, ...] | list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
