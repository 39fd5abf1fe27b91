"""Packages whose files are gone or overwritten, read from real folders and judged."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from pathlib import Path

import pytest
from support.machines import Recorded, guide, trouble

from server_bundle.doctor import Machine, Severity
from server_bundle.doctor.facts import commands, packages

LIMIT_SECONDS = commands.PATIENCE_SECONDS


def install(site: Path, name: str, version: str, files: dict[str, bytes]) -> None:
    """A wheel's files and its RECORD, as pip leaves them: over what was there."""
    rows = []
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(content)}")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("\n".join([*rows, f"{info.name}/RECORD,,", "x/y.pyc,,", ""]))


def uninstall(site: Path, name: str, version: str) -> None:
    """As pip does: each file of its RECORD, whoever else has it."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    for row in (info / "RECORD").read_text().splitlines():
        (site / row.split(",")[0]).unlink(missing_ok=True)
    for left in info.glob("*"):
        left.unlink()
    info.rmdir()


def look(site: Path) -> packages.Inside:
    """What the doctor reads of an interpreter with this folder first."""

    def run(argv: list[str]) -> commands.Answer | None:
        return commands.run(["env", f"PYTHONPATH={site}", *argv])

    return packages.query(Machine(run=run), sys.executable)  # type: ignore[arg-type]


KERNEL = {"sgl_kernel/__init__.py": b"import a", "sgl_kernel/gemm.py": b"old gemm"}
KT = {"sgl_kernel/__init__.py": b"import b", "sgl_kernel/gemm.py": b"new gemm, longer"}
KT |= {"kt_kernel/__init__.py": b"kt", "kt_kernel/empty.py": b""}


def test_two_packages_with_the_same_files(tmp_path: Path) -> None:
    """The last one installed wins; the other is changed, also where the size is the same. When one
    is uninstalled, the other one's files are gone."""
    install(tmp_path, "kt-kernel", "0.7.2", KT)
    assert look(tmp_path).damaged == ()
    install(tmp_path, "sgl-kernel", "0.3.21", KERNEL)
    (damaged,) = look(tmp_path).damaged
    assert (damaged.package, damaged.missing, damaged.changed, damaged.files) == (
        "kt-kernel",
        0,
        2,
        3,
    )
    assert damaged.others == ("sgl-kernel",)
    assert set(damaged.examples) == {"sgl_kernel/__init__.py", "sgl_kernel/gemm.py"}
    uninstall(tmp_path, "sgl-kernel", "0.3.21")
    inside = look(tmp_path)
    (damaged,) = inside.damaged
    assert (damaged.package, damaged.missing, damaged.others) == ("kt-kernel", 2, ())
    assert inside.packages["kt-kernel"] == "0.7.2"


def test_files_that_many_share_do_no_harm(tmp_path: Path) -> None:
    """The empty __init__.py of nvidia's packages, and equal ones."""
    same = {"nvidia/__init__.py": b"", "nvidia/shared.py": b"the same"}
    install(tmp_path, "nvidia-one", "1", same)
    install(tmp_path, "nvidia-two", "1", same)
    assert look(tmp_path).damaged == ()
    (tmp_path / "nvidia/__init__.py").unlink()
    assert look(tmp_path).damaged == ()


def test_the_parts_of_the_kernels(tmp_path: Path) -> None:
    """As kt-kernel 0.7.2 names them; sglang-kt's metadata does not ask for ktransformers."""
    manifest = b"VERSION = '1'\nPAYLOAD_MODULES = ('core', 'ktransformers_sgl_kernel_payload')\n"
    install(tmp_path, "kt-kernel", "0.7.2", {"sgl_kernel/_payload_manifest.py": manifest})
    install(tmp_path, "core", "1", {"core/payload.part": b"1"})
    absent = ("ktransformers_sgl_kernel_payload",)
    assert look(tmp_path).kernels == packages.Kernels((), 2, absent)
    install(tmp_path, "ktransformers", "0.7.2", {f"{absent[0]}/payload.part": b"2"})
    install(tmp_path, "sgl-kernel", "0.3.21", {"sgl_kernel/sm90/common_ops.abi3.so": b"elf"})
    assert look(tmp_path).kernels == packages.Kernels(("sm90",), 2, ())


def test_a_broken_record_is_not_the_end(tmp_path: Path) -> None:
    install(tmp_path, "odd", "1", {"odd.py": b"x"})
    (tmp_path / "odd-1.dist-info/RECORD").write_bytes(b'odd.py,"x\n\xff\n,,,,\nodd.py,sha256=,9\n')
    inside = look(tmp_path)
    assert inside.trouble == ""
    assert inside.packages["odd"] == "1"


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="the interpreter of this test is read")
def test_this_interpreter_is_whole() -> None:
    """Thousands of files, in seconds."""
    inside = packages.query(Machine(), sys.executable)
    assert inside.trouble == ""
    assert [one.package for one in inside.damaged if one.missing] == []


def kt_box(box: Recorded, *damaged: dict[str, object], **changes: str | None) -> Recorded:
    box.inside(**{"sglang_kt": "0.7.2", "kt_kernel": "0.7.2", "sgl_kernel": None, **changes})
    box.told(damaged=damaged)
    return box


def hurt(package: str, **changes: object) -> dict[str, object]:
    files = ["sgl_kernel/gemm.py"]
    whole = {"package": package, "missing": 0, "changed": 0, "of": 34, "examples": files}
    return {**whole, "others": [], **changes}


@pytest.mark.parametrize(
    ("damaged", "kernel", "expected", "cure"),
    [
        (
            hurt("kt-kernel", missing=32),
            None,
            (Severity.ERROR, "kt-kernel 0.7.2: of its 34 files 32 missing"),
            "/opt/venv/bin/python -m pip install --force-reinstall --no-deps kt-kernel==0.7.2",
        ),
        (
            hurt("kt-kernel", missing=1, changed=33, others=["sgl-kernel"]),
            "0.3.21",
            (Severity.ERROR, "1 missing and 33 changed since its installation"),
            "/opt/venv/bin/python -m pip uninstall -y sgl-kernel, then /opt/venv/bin/python -m pip "
            "install --force-reinstall --no-deps kt-kernel==0.7.2",
        ),
        (None, "0.3.21", (Severity.WARNING, "sgl-kernel 0.3.21 beside kt-kernel"), "uninstall"),
        (hurt("sglang-kt", changed=1), None, (Severity.NOTE, "1 changed"), "to undo"),
        (hurt("uvicorn", missing=3), None, (Severity.WARNING, "uvicorn"), "uvicorn"),
    ],
    ids=["gutted", "overwritten", "both", "patched by hand", "another package"],
)
def test_what_is_said_of_damaged_packages(
    box: Recorded,
    model: Path,
    damaged: dict[str, object] | None,
    kernel: str | None,
    expected: tuple[Severity, str],
    cure: str,
) -> None:
    kt_box(box, *([damaged] if damaged else []), sgl_kernel=kernel)
    (finding,) = trouble(box, guide(model, version="0.7.2"))
    assert (finding.about, finding.severity) == ("packages", expected[0])
    assert expected[1] in finding.found
    assert cure in finding.cure


def test_kernels_without_a_part_and_without_hopper(box: Recorded, model: Path) -> None:
    kt_box(box).told(
        kernels={"built": [], "parts": 5, "absent": ["ktransformers_sgl_kernel_payload"]}
    )
    plan = guide(model, version="0.7.2")
    (finding,) = trouble(box, plan)
    assert finding.severity is Severity.ERROR
    assert finding.found == "sgl_kernel's kernels lack the part of ktransformers"
    assert finding.cure.endswith("pip install --no-deps ktransformers==0.7.2")
    box.told(kernels={"built": [], "parts": 5, "absent": []})
    assert trouble(box, plan) == []
    box.out("nvidia-smi --query-gpu", "12.0", "9.0")
    arches = {"FLASHINFER_CUDA_ARCH_LIST": "9.0a", "TORCH_CUDA_ARCH_LIST": "9.0a"}
    (finding,) = trouble(box, guide(model, version="0.7.2", environment=arches))
    assert finding.severity is Severity.ERROR
    assert "no kernels for NVIDIA GeForce RTX 5090 (sm_90)" in finding.found
    box.told(kernels={"built": ["sm90", "sm100"], "parts": 0, "absent": []})
    assert trouble(box, guide(model, version="0.7.2", environment=arches)) == []
