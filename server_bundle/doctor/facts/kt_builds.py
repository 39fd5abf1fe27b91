"""The builds of kt-kernel in its wheel, the CPU flags that choose one, and what each can compute.

By kt-kernel 0.7.2: `_cpu_detect.py` for the choice, `utils/amx.py` and `utils/moe_kernel.py` for
the methods, and the classes that each extension of the wheel has when it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

VARIABLE = "KT_KERNEL_CPU_VARIANT"
"""Chooses a build in spite of the CPU."""
AVX512 = frozenset({"avx512f", "avx512bw"})
_VNNI = AVX512 | {"avx512_vnni"}
_VBMI = _VNNI | {"avx512_vbmi"}
_BF16 = _VBMI | {"avx512_bf16"}
BUILDS: Mapping[str, frozenset[str]] = {
    "amx": _BF16 | {"amx_tile", "amx_int8", "amx_bf16"},
    "avx512_bf16": _BF16,
    "avx512_vbmi": _VBMI,
    "avx512_vnni": _VNNI,
    "avx512_base": AVX512,
    "avx2": frozenset({"avx2"}),
}
"""A build -> the flags of /proc/cpuinfo that it needs; the first that fits is loaded."""
METHODS = frozenset(
    {
        *("AMXINT4", "AMXINT8", "BF16", "FP8", "FP8_PERCHANNEL", "GPTQ_INT4", "LLAMAFILE"),
        *("MOE_INT4", "MOE_INT8", "MXFP4", "MXFP8", "NVFP4", "RAWINT4", "SYCL_GPTQ_INT4"),
    }
)
"""`INFERENCE_METHODS` of kt_kernel/experts.py."""
NEEDS_AVX512 = frozenset({"AMXINT4", "AMXINT8", "FP8_PERCHANNEL"})
"""Absent from the build for AVX2. The others have AVX2 code, which is slower."""
ONLY_AVX2 = frozenset({"GPTQ_INT4", "LLAMAFILE", "NVFP4"})
"""The same code in every build, whatever the CPU has beyond AVX2."""
IN_NO_BUILD: Mapping[str, str] = {
    "MOE_INT4": "AMXINT4",
    "MOE_INT8": "AMXINT8",
    "SYCL_GPTQ_INT4": "GPTQ_INT4",
}
"""Methods that no build of the wheel has -> the method with the same precision that it has."""


def missing(build: str, flags: set[str]) -> list[str]:
    """The flags that a build needs and this CPU lacks. The kernel writes some with an underscore
    (avx512_bf16) and some without (avx512vbmi); both count, as in kt-kernel."""
    known = {flag.replace("_", "") for flag in flags}
    return sorted(flag for flag in BUILDS[build] if flag.replace("_", "") not in known)


def of_cpu(flags: set[str]) -> str:
    """The build that kt-kernel chooses for a CPU; `avx2` also where it lacks even that."""
    return next((name for name in BUILDS if not missing(name, flags)), "avx2")


def forced(environment: Mapping[str, str]) -> str | None:
    """The build that the environment demands; None without one, or for a word that kt-kernel does
    not know and ignores."""
    word = environment.get(VARIABLE, "").lower()
    return word if word in BUILDS else None
