"""The packages that the server needs in its own interpreter.

The versions are in `version_rules.toml`. This module decides when a package matters, and checks
packages that share an import name or must have the same version.
"""

from __future__ import annotations

from collections.abc import Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.checks import package_files
from server_bundle.doctor.finding import Finding, error, ok, warning
from server_bundle.plan import version_rules
from server_bundle.plan.version_rules import Requirement

_ABOUT = "packages"
_FAMILY = "deepseek-v4"
_MAY_BE_ABSENT = ("apache-tvm-ffi", "fastapi", "ktransformers")
"""Only a wrong version of these matters: another check reports what needs them if it is missing."""
_TRANSFORMERS = ("transformers", "transformers-kt")
_AS_PAIRS = (*_TRANSFORMERS, "flashinfer-cubin")
"""Checked together with another package, below."""


def check(case: Case) -> Iterator[Finding]:
    """Check the packages, unless the interpreter could not be read or has no engine."""
    if case.inside.trouble or case.version is None:
        return
    found = [
        *_absent(case),
        *_required(case),
        *_transformers(case),
        *_same_versions(case),
        *package_files.check(case),
    ]
    yield from found
    if not found:
        yield ok(_ABOUT, "all packages that the server needs are installed")


def _absent(case: Case) -> Iterator[Finding]:
    packages = case.inside.packages
    if "torch" not in packages:
        cure = f"run pip install {case.plan.engine}, which installs the right version"
        yield error(_ABOUT, "no torch", "No module named 'torch'", "METADATA", cure)
    if case.is_fork and case.is_older("0.7.0") and "sgl-kernel" not in packages:
        why = "No module named 'sgl_kernel' (from 0.7 on kt-kernel's wheel has it)"
        cure = "run pip install sgl-kernel==0.3.21"
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
    # Without dependencies: they pin the wrong version of this package, or would replace torch.
    alone = "" if need.package == "torch" else "--no-deps "
    cure = f"{case.plan.python} -m pip install {alone}'{need.package}{need.spec}'"
    return kind(_ABOUT, seen, need.reason, need.source, cure)


def _transformers(case: Case) -> Iterator[Finding]:
    """Check the two distributions with the import name `transformers`."""
    plain, forked = (case.inside.packages.get(name) for name in _TRANSFORMERS)
    if plain is None and forked is None:
        why = "No module named 'transformers'"
        name = "transformers-kt" if case.is_fork else "transformers"
        yield error(_ABOUT, "no transformers", why, "METADATA", f"pip install {name}")
    elif plain and forked:
        yield warning(
            _ABOUT,
            f"transformers {plain} and transformers-kt {forked} are both installed",
            "both have the import name transformers: the last installed one is imported",
            "wheel METADATA",
            "run pip uninstall -y transformers transformers-kt, then install the one you need",
        )
    elif plain and case.is_fork and version_rules.satisfies(plain, ">=5"):
        yield warning(
            _ABOUT,
            f"transformers {plain}",
            "sglang-kt requires transformers-kt; plain 5.x cannot read DeepSeek V4's configuration",
            "KT #1974; METADATA",
            "install the transformers-kt that pip show sglang-kt names, or transformers 4.57.1",
        )


def _same_versions(case: Case) -> Iterator[Finding]:
    why = "flashinfer refuses to run when the two versions differ"
    pairs = [("flashinfer-python", "flashinfer-cubin", why)]
    if case.is_fork and case.uses_cpu_experts and not case.is_older("0.7.0"):
        why = "sglang-kt 0.7 requires the kt-kernel of the same version"
        pairs.append(("sglang-kt", "kt-kernel", why))
    if case.is_fork and not case.is_older("0.7.2"):
        why = "sgl_kernel joins its kernels from parts of both, by one checksum"
        pairs.append(("kt-kernel", "ktransformers", why))
    for name, other, why in pairs:
        one, two = case.inside.packages.get(name), case.inside.packages.get(other)
        if one and two and version_rules.order(one) != version_rules.order(two):
            cure = f"pip install --no-deps {other}=={one}"
            yield warning(_ABOUT, f"{name} {one} and {other} {two}", why, "METADATA", cure)
