"""What the server needs beside itself, in its own interpreter: as data, with reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from server_bundle.doctor import versions
from server_bundle.doctor.case import Case
from server_bundle.doctor.finding import Finding, error, ok, warning

_ABOUT = "packages"
ALWAYS, CPU_EXPERTS, DEEPSEEK_V4, METRICS = "always", "cpu experts", "DeepSeek V4", "metrics"


@dataclass(frozen=True)
class Need:
    """One package. `spec` is empty where any version will do."""

    name: str
    spec: str
    when: str
    is_fatal: bool
    reason: str
    source: str
    engine: str = "sglang-kt"
    before: str = ""
    """Only for versions of the engine older than this."""
    may_be_absent: bool = False


NEEDS = (
    Need("torch", "", ALWAYS, True, "No module named 'torch'", "METADATA", engine=""),
    Need(
        *("torch", "==2.9.1", CPU_EXPERTS, False),
        "compiled parts of kt-kernel and sgl-kernel are for this one",
        "kt-kernel METADATA",
        may_be_absent=True,
    ),
    Need(
        *("flashinfer-python", ">=0.6.9", DEEPSEEK_V4, True),
        "DeepSeek-V4-Flash MXFP4 MoE requires it, although sglang-kt itself pins 0.6.3",
        "KT-sglang #65; mxfp4_deepseek.py",
    ),
    Need(
        *("tilelang", "", DEEPSEEK_V4, True),
        "Cannot find model module. 'DeepseekV4ForCausalLM'",
        "KT #1977",
    ),
    Need(
        *("apache-tvm-ffi", "<0.1.12", DEEPSEEK_V4, True),
        "newer ones abort together with tilelang: TypeAttr is already registered",
        "KT #2045, sglang #34858",
        may_be_absent=True,
    ),
    Need(
        *("kt-kernel", "", CPU_EXPERTS, True),
        "it computes the experts on the CPU",
        "KT kt-kernel/README",
    ),
    Need(
        *("sgl-kernel", "", ALWAYS, True),
        "No module named 'sgl_kernel' (0.7 brings its own)",
        "sglang-kt 0.6.2.post3 METADATA",
        before="0.7.0",
    ),
    Need(
        *("fastapi", "<0.137", METRICS, False),
        "with --enable-metrics /v1/loads, by which progress is seen, answers HTTP 500",
        "sglang #28887; seen with 0.165 and sglang-kt 0.7.2, 0.128 works",
    ),
)


def check(case: Case) -> Iterator[Finding]:
    """Nothing is said of an interpreter that could not be asked or has no server."""
    if case.inside.trouble or case.version is None:
        return
    found = [finding for need in NEEDS if _applies(case, need) for finding in _judge(case, need)]
    found += [*_transformers(case), *_same_versions(case)]
    yield from found
    if not found:
        yield ok(_ABOUT, "what the server needs beside itself is there")


def _applies(case: Case, need: Need) -> bool:
    when = {
        ALWAYS: True,
        CPU_EXPERTS: case.uses_cpu_experts,
        DEEPSEEK_V4: case.is_deepseek_v4,
        METRICS: case.flags.has("--enable-metrics"),
    }[need.when]
    is_engine = need.engine in ("", case.plan.engine)
    return when and is_engine and (not need.before or case.is_older(need.before))


def _judge(case: Case, need: Need) -> Iterator[Finding]:
    installed = case.inside.packages.get(need.name)
    if installed is None and need.may_be_absent:
        return
    if installed is not None and versions.holds(installed, need.spec):
        return
    seen = f"{need.name} {installed}" if installed else f"no {need.name}"
    kind = error if need.is_fatal else warning
    cure = f"{case.plan.python} -m pip install --no-deps '{need.name}{need.spec}'"
    yield kind(_ABOUT, seen, need.reason, need.source, cure)


def _transformers(case: Case) -> Iterator[Finding]:
    """Two distributions with one import name."""
    plain = case.inside.packages.get("transformers")
    forked = case.inside.packages.get("transformers-kt")
    if plain is None and forked is None:
        why = "No module named 'transformers'"
        name = "transformers-kt" if case.is_fork else "transformers"
        yield error(_ABOUT, "no transformers", why, "METADATA", f"pip install {name}")
    elif plain and forked:
        yield warning(
            _ABOUT,
            f"transformers {plain} and transformers-kt {forked} are both installed",
            "they share the import name: whichever was installed last is imported",
            "wheel METADATA",
            "pip uninstall -y transformers transformers-kt, then install the one that is wanted",
        )
    elif plain and case.is_fork and versions.holds(plain, ">=5"):
        yield warning(
            _ABOUT,
            f"transformers {plain}",
            "sglang-kt asks for transformers-kt; other 5.x broke DeepSeek V4's configuration",
            "KT #1974; METADATA",
            "transformers-kt at the version that pip show sglang-kt names, or transformers 4.57.1",
        )


def _same_versions(case: Case) -> Iterator[Finding]:
    pairs = [("flashinfer-python", "flashinfer-cubin", "flashinfer refuses to run with another")]
    if case.is_fork and case.uses_cpu_experts and not case.is_older("0.7.0"):
        pairs.append(("sglang-kt", "kt-kernel", "sglang-kt 0.7 asks for the kt-kernel of its own"))
    for name, other, why in pairs:
        one, two = case.inside.packages.get(name), case.inside.packages.get(other)
        if one and two and versions.key(one) != versions.key(two):
            cure = f"pip install --no-deps {other}=={one}"
            yield warning(_ABOUT, f"{name} {one} and {other} {two}", why, "METADATA", cure)
