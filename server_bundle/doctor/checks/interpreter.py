"""The server's Python interpreter, and the engine installed in it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from server_bundle.doctor.case import SGLANG_KT, Case
from server_bundle.doctor.finding import Finding, error, note, ok, warning
from server_bundle.plan import installation, version_rules

_ABOUT = "python"
_UPSTREAM = "sglang"
_KERNEL_WHEELS = ("3.11", "3.12")


def check(case: Case) -> Iterator[Finding]:
    """Check the interpreter's version and engine."""
    inside, python = case.inside, case.plan.python
    if refusal := installation.refusal(python):
        command = installation.of_folder(installation.folder_of(python))
        cure = f"ktserver {command.command}" if command else "ktserver install"
        yield error(_ABOUT, f"{python} is not complete", refusal, "ktserver install", cure)
        return
    if inside.trouble:
        yield _no_interpreter(case)
        return
    yield ok(_ABOUT, f"{python} is Python {inside.version}")
    minor = ".".join(inside.version.split(".")[:2])
    if case.uses_cpu_experts and "kt-kernel" not in inside.packages and minor not in _KERNEL_WHEELS:
        why = "kt-kernel has wheels only for 3.11 and 3.12 (the guide's 3.10 needs a source build)"
        cure = "create a venv with Python 3.11 or 3.12"
        yield error(_ABOUT, f"Python {minor} without kt-kernel", why, "kt-kernel's wheels", cure)
    yield from _engine(case)


def _no_interpreter(case: Case) -> Finding:
    python = case.plan.python
    trouble, cure = case.inside.trouble, "--python VENV/bin/python"
    place = case.machine.root / python.lstrip("/")
    if "/" in python and place.is_dir():
        trouble = "it is a folder, not a program"
        if (place / "bin/python").exists():
            cure = f"--python {python.rstrip('/')}/bin/python"
    elif "/" in python and place.is_file() and not os.access(place, os.X_OK):
        trouble = "it is a file that cannot be run"
    why = "it must run the server"
    cure = f"name the interpreter of the server's venv: {cure}"
    return error(_ABOUT, f"{python}: {trouble}", why, "", cure)


def _engine(case: Case) -> Iterator[Finding]:
    packages, engine = case.inside.packages, case.plan.engine
    if SGLANG_KT in packages and _UPSTREAM in packages:
        yield warning(
            _ABOUT,
            f"sglang {packages[_UPSTREAM]} and sglang-kt {packages[SGLANG_KT]} are both installed",
            "both have the import name sglang: the last installed one overwrote the other's files",
            "wheel METADATA",
            f"pip uninstall -y sglang sglang-kt, then pip install {engine}",
        )
    elif engine not in packages:
        other = next((name for name in (SGLANG_KT, _UPSTREAM) if name in packages), None)
        found = f"no {engine}" + (f", but {other} {packages[other]}" if other else "")
        why = "No module named 'sglang'"
        if other:
            why = "their options and log lines differ; upstream sglang has no --kt- options"
        yield error(_ABOUT, found, why, "", f"ktserver install {engine}, or another --python")
    else:
        installed = packages[engine]
        planned = case.plan.version
        yield ok(_ABOUT, f"{engine} {installed}")
        if planned and version_rules.order(planned) != version_rules.order(installed):
            why = "the plan follows the rules of another version"
            cure = "make the plan again"
            yield note(_ABOUT, f"planned for {engine} {planned}", why, "", cure)
