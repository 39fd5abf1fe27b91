"""Whether kt-kernel can compute the experts on this CPU, with its builds and the --kt-method."""

from __future__ import annotations

from collections.abc import Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.facts import kt_builds
from server_bundle.doctor.finding import Finding, error, note, ok, warning
from server_bundle.plan import version_rules

_ABOUT = "cpu"
_SOURCE = "kt-kernel 0.7.2, every build of its wheel loaded"


def check(case: Case, flags: set[str]) -> Iterator[Finding]:
    """`flags`: of /proc/cpuinfo."""
    if "avx2" not in flags:
        why = "kt-kernel needs it for every method"
        yield error(_ABOUT, "no AVX2", why, "KT #1713", "use another machine")
        return
    found = [*_build(case, flags), *_method(case, flags)]
    yield from found
    if not found and not case.is_older("0.7.0"):
        yield ok(_ABOUT, f"kt-kernel's build for it: {_chosen(case, flags)}")


def _chosen(case: Case, flags: set[str]) -> str:
    return kt_builds.forced(case.environment) or kt_builds.of_cpu(flags)


def _build(case: Case, flags: set[str]) -> Iterator[Finding]:
    """The build that the environment demands."""
    word = case.environment.get(kt_builds.VARIABLE)
    if not word:
        return
    build, best = kt_builds.forced(case.environment), kt_builds.of_cpu(flags)
    seen = f"{kt_builds.VARIABLE}={word}"
    if build is None:
        known = ", ".join(kt_builds.BUILDS)
        why = f"kt-kernel ignores this word and chooses {best}; it knows {known}"
        yield note(_ABOUT, seen, why, "kt-kernel 0.7.2 _cpu_detect.py", f"unset it, or use {best}")
    elif lacking := kt_builds.missing(build, flags):
        why = f"the CPU lacks {', '.join(lacking)}: kt-kernel dies with 'Illegal instruction'"
        yield error(_ABOUT, seen, why, "kt-kernel 0.7.2 _cpu_detect.py", f"unset it, or use {best}")
    elif build != best:
        why = f"kt-kernel would choose {best} for this CPU, which is faster"
        yield note(_ABOUT, seen, why, "kt-kernel 0.7.2 _cpu_detect.py", "unset it")


def _method(case: Case, flags: set[str]) -> Iterator[Finding]:
    method = case.kt_method
    build = _chosen(case, flags)
    if method not in kt_builds.METHODS:
        yield from _unknown(case, method)
    elif other := kt_builds.IN_NO_BUILD.get(method):
        yield error(
            _ABOUT,
            f"--kt-method {method} is in no build of kt-kernel's wheel",
            "backend not available: the wheel is compiled without it",
            _SOURCE,
            f"use --kt-method {other} with weights made for it, or compile kt-kernel yourself",
        )
    elif build == "avx2" and method in kt_builds.NEEDS_AVX512:
        yield error(
            _ABOUT,
            _no_avx512(case),
            f"{method} backend not available. Required ISA: AVX512F + AVX512BW",
            _SOURCE,
            "use GPTQ_INT4, LLAMAFILE, FP8, BF16, RAWINT4 or MXFP4 with weights in that format, "
            "or a CPU with AVX-512",
        )
    elif build == "avx2" and method not in kt_builds.ONLY_AVX2:
        yield from _slow(case, method)
    elif method == "MXFP8" and build != "amx":
        why = "kt-kernel computes MXFP8 with AVX2 on every CPU without AMX: slow"
        yield note(_ABOUT, "--kt-method MXFP8 without AMX", why, "kt-kernel 0.7.2 utils/amx.py")
    elif method in ("MXFP4", "BF16") and build in ("avx512_base", "avx512_vnni", "avx512_vbmi"):
        why = "without it some builds of kt-kernel decode garbage with MXFP4 and refuse BF16"
        cure = "read an answer to check it; use a kt-kernel with #2196 or, for BF16, #1908"
        yield note(_ABOUT, "AVX-512 without BF16", why, "KT #2192, #1907", cure)


def _no_avx512(case: Case) -> str:
    word = kt_builds.forced(case.environment)
    return f"no AVX-512 ({kt_builds.VARIABLE}={word})" if word else "no AVX-512"


def _slow(case: Case, method: str) -> Iterator[Finding]:
    seen = _no_avx512(case)
    if method == "MXFP4" and case.is_older("0.7.0"):
        why = "MXFP4 backend not available. Required ISA: AVX512F + AVX512BW"
        cure = "install sglang-kt and kt-kernel 0.7 or newer"
        yield error(_ABOUT, seen, why, "KT #1999", cure)
        return
    why = f"--kt-method {method} falls back to AVX2: slow, and not in every version"
    yield warning(_ABOUT, seen, why, "KT #1999, AVX2 tutorial", "use a CPU with AVX-512")


def _unknown(case: Case, method: str) -> Iterator[Finding]:
    installed = case.inside.packages.get("kt-kernel")
    is_read = installed is not None and version_rules.satisfies(installed, "<=0.7.2")
    why = f"Method '{method}' not supported for inference mode"
    cure = f"use one of {', '.join(sorted(kt_builds.METHODS - set(kt_builds.IN_NO_BUILD)))}"
    kind = error if is_read else warning
    yield kind(_ABOUT, f"--kt-method {method} is unknown", why, "kt-kernel 0.7.2 experts.py", cure)
