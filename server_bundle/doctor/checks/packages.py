"""What the server needs beside itself, in its own interpreter.

Which versions: `version_rules` (versions.toml). Here is what a table does not say: when a package
matters, and packages that share an import name or must be of one version.
"""

from __future__ import annotations

from collections.abc import Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.finding import Finding, error, ok, warning
from server_bundle.plan import version_rules
from server_bundle.plan.version_rules import Requirement

_ABOUT = "packages"
_FAMILY = "deepseek-v4"
_MAY_BE_ABSENT = ("apache-tvm-ffi", "fastapi")
"""Only a wrong version of these does harm: what needs them is missed by another check."""
_TRANSFORMERS = ("transformers", "transformers-kt")
_AS_PAIRS = (*_TRANSFORMERS, "flashinfer-cubin")
"""Judged beside another one, below."""


def check(case: Case) -> Iterator[Finding]:
    """Nothing is said of an interpreter that could not be asked or has no server."""
    if case.inside.trouble or case.version is None:
        return
    found = [*_absent(case), *_required(case), *_transformers(case), *_same_versions(case)]
    yield from found
    if not found:
        yield ok(_ABOUT, "what the server needs beside itself is there")


def _absent(case: Case) -> Iterator[Finding]:
    packages = case.inside.packages
    if "torch" not in packages:
        cure = f"pip install {case.plan.engine}, which brings the one that it needs"
        yield error(_ABOUT, "no torch", "No module named 'torch'", "METADATA", cure)
    if case.is_fork and case.is_older("0.7.0") and "sgl-kernel" not in packages:
        why = "No module named 'sgl_kernel' (sglang-kt 0.7 brings its own)"
        cure = "pip install sgl-kernel==0.3.21"
        yield error(_ABOUT, "no sgl-kernel", why, "sglang-kt 0.6.2.post3 METADATA", cure)


def _required(case: Case) -> Iterator[Finding]:
    family = _FAMILY if case.is_deepseek_v4 else ""
    told: set[str] = set()
    for need in version_rules.required_packages(case.plan.engine, case.version, family):
        if need.package not in told and _matters(case, need) and not _is_met(case, need):
            told.add(need.package)
            yield _unmet(case, need)


def _matters(case: Case, need: Requirement) -> bool:
    if need.package in ("kt-kernel", "torch"):
        return case.uses_cpu_experts and (
            need.package != "torch" or "torch" in case.inside.packages
        )
    if need.package == "fastapi":
        return case.flags.has("--enable-metrics")
    return need.package not in _AS_PAIRS


def _is_met(case: Case, need: Requirement) -> bool:
    installed = case.inside.packages.get(need.package)
    return need.package in _MAY_BE_ABSENT if installed is None else need.allows(installed)


def _unmet(case: Case, need: Requirement) -> Finding:
    installed = case.inside.packages.get(need.package)
    seen = f"{need.package} {installed}" if installed else f"no {need.package}"
    kind = error if need.severity == version_rules.FAIL else warning
    # Without the dependencies: they pin what is mended here, or would exchange torch.
    alone = "" if need.package == "torch" else "--no-deps "
    cure = f"{case.plan.python} -m pip install {alone}'{need.package}{need.spec}'"
    return kind(_ABOUT, seen, need.reason, need.source, cure)


def _transformers(case: Case) -> Iterator[Finding]:
    """Two distributions with one import name."""
    plain, forked = (case.inside.packages.get(name) for name in _TRANSFORMERS)
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
    elif plain and case.is_fork and version_rules.satisfies(plain, ">=5"):
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
        if one and two and version_rules.order(one) != version_rules.order(two):
            cure = f"pip install --no-deps {other}=={one}"
            yield warning(_ABOUT, f"{name} {one} and {other} {two}", why, "METADATA", cure)
