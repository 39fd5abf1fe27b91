"""The server's doctor on the server's own interpreter and what is installed there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conformance.sglang_kt import VENV
from support.machines import Recorded, guide, trouble

from server_bundle.doctor import Machine, Severity
from server_bundle.doctor.facts import commands, packages


@pytest.mark.parametrize(
    ("changes", "severity", "words"),
    [
        ({"flashinfer-python": "0.6.3", "flashinfer-cubin": "0.6.3"}, Severity.ERROR, "0.6.3"),
        ({"flashinfer-cubin": "0.6.13"}, Severity.WARNING, "flashinfer-cubin 0.6.13"),
        ({"tilelang": None}, Severity.ERROR, "no tilelang"),
        ({"apache-tvm-ffi": "0.1.12"}, Severity.ERROR, "apache-tvm-ffi 0.1.12"),
        ({"kt-kernel": None}, Severity.ERROR, "no kt-kernel"),
        ({"sgl-kernel": None}, Severity.ERROR, "no sgl-kernel"),
        ({"torch": None}, Severity.ERROR, "no torch"),
        ({"torch": "2.13.0+cu128"}, Severity.WARNING, "torch 2.13.0+cu128"),
        ({"fastapi": "0.165.0"}, Severity.WARNING, "fastapi 0.165.0"),
        ({"fastapi": "0.137.0"}, Severity.WARNING, "fastapi 0.137.0"),
        ({"transformers": "4.57.1"}, Severity.WARNING, "are both installed"),
        (
            {"transformers-kt": None, "transformers": "5.8.0"},
            Severity.WARNING,
            "transformers 5.8.0",
        ),
        ({"transformers-kt": None}, Severity.ERROR, "no transformers"),
    ],
)
def test_a_package_that_does_not_go(
    box: Recorded, model: Path, changes: dict[str, str | None], severity: Severity, words: str
) -> None:
    """One finding, with its source and the command that mends it."""
    box.inside(**changes)
    (finding,) = trouble(box, guide(model))
    assert (finding.about, finding.severity) == ("packages", severity)
    assert words in finding.found
    assert finding.source
    assert finding.cure


def test_what_does_not_matter_is_not_said(box: Recorded, model: Path) -> None:
    """An old transformers that the guide wants; fastapi without metrics; what another model
    needs."""
    box.inside(transformers_kt=None, transformers="4.57.1")
    assert trouble(box, guide(model)) == []
    box.inside(fastapi="0.165.0")
    argv = [word for word in guide(model).argv if word != "--enable-metrics"]
    assert trouble(box, guide(model, argv=tuple(argv))) == []


def test_the_fork_of_today_brings_its_own_kernel(box: Recorded, model: Path) -> None:
    box.inside(sglang_kt="0.7.2", kt_kernel="0.7.2", sgl_kernel=None)
    assert trouble(box, guide(model, version="0.7.2")) == []
    box.inside(kt_kernel="0.7.0")
    (finding,) = trouble(box, guide(model, version="0.7.2"))
    assert "sglang-kt 0.7.2 and kt-kernel 0.7.0" in finding.found
    box.inside(kt_kernel="0.7.2", ktransformers="0.7.0")
    found = trouble(box, guide(model, version="0.7.2"))
    assert {one.severity for one in found} == {Severity.ERROR, Severity.WARNING}
    assert all("ktransformers" in one.found and one.cure for one in found)


def test_old_versions_and_old_cpus(box: Recorded, model: Path) -> None:
    """From 0.7 on MXFP4 runs without AVX-512, slowly."""
    box.change("proc/cpuinfo", " avx512f ", " ")
    (finding,) = trouble(box, guide(model))
    assert finding.severity is Severity.ERROR
    box.inside(sglang_kt="0.7.2", kt_kernel="0.7.2", sgl_kernel=None)
    (finding,) = trouble(box, guide(model, version=None))
    assert finding.severity is Severity.WARNING


def test_gpus_without_fp8(box: Recorded, model: Path) -> None:
    box.out("nvidia-smi --query-gpu", "12.0", "8.6")
    plan = {"FLASHINFER_CUDA_ARCH_LIST": "8.6", "TORCH_CUDA_ARCH_LIST": "8.6"}
    finding, kernels = trouble(box, guide(model, environment=plan))
    assert (finding.about, finding.severity) == ("gpus", Severity.ERROR)
    assert (kernels.about, kernels.severity) == ("kernels", Severity.NOTE)
    box.inside(sglang_kt="0.6.3", kt_kernel="0.6.3")
    finding, _ = trouble(box, guide(model, version=None, environment=plan))
    assert finding.severity is Severity.WARNING


def test_both_engines_and_neither(box: Recorded, model: Path) -> None:
    box.inside(sglang="0.5.23")
    (finding,) = trouble(box, guide(model))
    assert (finding.about, finding.severity) == ("python", Severity.WARNING)
    assert "sglang 0.5.23 and sglang-kt 0.6.2.post3 are both installed" in finding.found
    box.inside(sglang_kt=None)
    found = trouble(box, guide(model, version=None))
    assert [one.found for one in found] == ["no sglang-kt, but sglang 0.5.23"]
    box.inside(sglang=None)
    assert [one.found for one in trouble(box, guide(model, version=None))] == ["no sglang-kt"]


def test_upstream_has_needs_of_its_own(box: Recorded, model: Path) -> None:
    """Not those of the fork."""
    gone = ("sglang_kt", "kt_kernel", "sgl_kernel", "flashinfer_python", "flashinfer_cubin")
    box.inside(sglang="0.5.23", transformers="5.19.0", transformers_kt=None, tilelang=None)
    box.inside(**dict.fromkeys(gone))
    argv = ["/opt/venv/bin/python", "-m", "sglang.launch_server", "--model", str(model)]
    plan = guide(model, engine="sglang", version="0.5.23", argv=(*argv, "--tp", "4"))
    (finding,) = trouble(box, plan)
    assert (finding.about, finding.severity) == ("kernels", Severity.NOTE)
    assert "sglang 0.5.23 brings compiled ones is not known here" in finding.found


def test_a_python_without_a_wheel_of_kt_kernel(box: Recorded, model: Path) -> None:
    """The guide's own: 3.10."""
    box.python("3.10.12")
    assert trouble(box, guide(model)) == []
    box.inside(kt_kernel=None)
    assert [one.found for one in trouble(box, guide(model))] == [
        "Python 3.10 without kt-kernel",
        "no kt-kernel",
    ]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "no such program"),
        ({"status": 1, "err": "SyntaxError: invalid syntax"}, "SyntaxError: invalid syntax"),
        ({"status": 0, "out": "hello\n"}, "it is not a Python interpreter: hello"),
        ({"status": 0, "out": ""}, "it is not a Python interpreter"),
    ],
)
def test_an_interpreter_that_does_not_answer(
    box: Recorded, model: Path, answer: dict[str, object] | None, words: str
) -> None:
    """Said once: nothing can be known of its packages."""
    del box.commands["python -c"]
    if answer is not None:
        box.commands["python -c"] = answer
    (finding,) = trouble(box, guide(model))
    assert finding.severity is Severity.ERROR
    assert words in finding.found


def test_a_real_interpreter_tells_of_itself(tmp_path: Path) -> None:
    """This one: its version, and versions by normalised names; a line before it does no harm."""
    (tmp_path / "sitecustomize.py").write_text("print('loaded by somebody')")
    asked = packages.query(Machine(), sys.executable)
    assert asked.version == ".".join(str(part) for part in sys.version_info[:3])
    assert {"ktjob", "pytest-timeout", "click"} <= set(asked.packages)
    assert packages.query(Machine(), "/nowhere/python").trouble == "no such program"
    assert packages.query(Machine(), str(tmp_path)).trouble == "no such program"


def test_a_program_that_fails_and_one_that_is_not_there() -> None:
    failed = commands.run([sys.executable, "-c", "import sys; sys.exit('on purpose')"])
    assert failed is not None
    assert (failed.status, failed.words) == (1, "on purpose")
    assert commands.run(["no-such-program-of-ours"]) is None


@pytest.mark.real_sglang
def test_the_real_sglang_kt_is_seen() -> None:
    """In the venv that KTJOB_REAL_SGLANG names."""
    asked = packages.query(Machine(), f"{VENV}/bin/python")
    assert asked.trouble == ""
    assert {"sglang-kt", "torch", "transformers-kt", "fastapi"} <= set(asked.packages)
