"""`ktserver doctor --deep` on an interpreter with a small engine, really imported."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.machines import Recorded, guide

from server_bundle.doctor import Finding, Machine, Severity, deep
from server_bundle.doctor.case import Case
from server_bundle.doctor.checks import imports
from server_bundle.doctor.facts import commands
from server_bundle.plan import key_file
from server_bundle.plan.launch_plan import LaunchPlan

TORCH = """
__version__ = "2.9.1"
class version: cuda = "12.8"
class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 4)
    get_arch_list = staticmethod(lambda: ["sm_90a", "sm_120"])
"""
ARGS = """
import argparse
class ServerArgs:
    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--model-path", "--model", required=True)
        for name in ("host", "port", "kt-weight-path", "kt-method", "tensor-parallel-size"):
            parser.add_argument("--" + name)
        parser.add_argument("--trust-remote-code", action="store_true")
def prepare_server_args(argv):
    assert "--port" not in argv or "0" not in argv, "port"
"""
HF = """
def get_config(model, trust_remote_code): return trust_remote_code
class Tokenizer:
    def encode(self, text): return text.split()
def get_tokenizer(model, trust_remote_code): return Tokenizer()
"""
ENGINE = {
    "torch/__init__.py": TORCH,
    "sglang/srt/server_args.py": ARGS,
    "sglang/srt/utils/hf_transformers_utils.py": HF,
    "sglang/srt/entrypoints/http_server.py": "",
    "sglang/srt/models/deepseek_v4.py": "class DeepseekV4ForCausalLM: pass",
    "z3/__init__.py": "",
}
PACKAGES = ("sglang-kt", "kt-kernel", "z3-solver", "torch")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages that a start would import."""
    folder = tmp_path / "site"
    for name in ("sglang", "sglang/srt", "sglang/srt/utils", "sglang/srt/entrypoints"):
        write(folder, f"{name}/__init__.py", "")
    for name in ("sglang/srt/models", "transformers", "kt_kernel", "sgl_kernel", "triton"):
        write(folder, f"{name}/__init__.py", "")
    for name, text in ENGINE.items():
        write(folder, name, text)
    for package in PACKAGES:
        metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.7.2\n"
        write(folder, f"{package.replace('-', '_')}-0.7.2.dist-info/METADATA", metadata)
    return folder


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def machine(box: Recorded, site: Path) -> Machine:
    """The recorded machine, with this interpreter and these packages."""
    recorded = box.machine()
    environment = {"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin", "HOME": str(site)}

    def run(argv: list[str]) -> commands.Answer | None:
        if argv[0] == sys.executable:
            return commands.run(["env", f"PYTHONPATH={site}", *argv])
        return None if argv[0].endswith("nvcc") else box.answer(argv)

    return Machine(recorded.root, run, recorded.space, environment)  # type: ignore[arg-type]


def plan(model: Path, *more: str) -> LaunchPlan:
    words = ("-m", "sglang.launch_server", "--model", str(model), "--kt-weight-path", str(model))
    argv = (sys.executable, *words, "--tensor-parallel-size", "4", "--trust-remote-code", *more)
    return guide(model, python=sys.executable, argv=argv, version="0.7.2")


def look(box: Recorded, site: Path, model: Path, *more: str) -> list[Finding]:
    return deep.examine(plan(model, *more), machine(box, site), deep.Limits(60.0, 120.0))


def test_all_is_well(box: Recorded, site: Path, model: Path) -> None:
    said = []
    limits = deep.Limits(60.0, 120.0)
    found = deep.examine(
        plan(model), machine(box, site), limits, lambda step, seconds: said.append(step.name)
    )
    (good,) = found
    assert good.severity is Severity.OK
    assert "15 of 15 steps" in good.found and "sglang's module of Deepseek" in good.found
    assert said[0] == "import torch"


def test_what_is_broken_is_named_with_its_line_and_fix(
    box: Recorded, site: Path, model: Path
) -> None:
    """A known cause by the catalogue, once, with what follows from it; an unknown flag; a module
    that is not there; a crash; a torch without code for the GPU."""
    z3 = "class Z3Exception(Exception): pass\nraise Z3Exception('libz3.so not found.')"
    write(site, "z3/__init__.py", z3)
    write(site, "sgl_kernel/silu.py", "")
    (site / "sgl_kernel/__init__.py").unlink()
    take = "from sgl_kernel import silu_and_mul"
    write(site, "sglang/srt/entrypoints/http_server.py", take)
    write(
        site,
        "sglang/srt/models/deepseek_v4.py",
        f"import dill_pickles\n{ENGINE['sglang/srt/models/deepseek_v4.py']}",
    )
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    write(site, "kt_kernel/__init__.py", crash)
    write(site, "torch/__init__.py", TORCH.replace('"sm_120"', '"sm_100"'))
    found = look(box, site, model, "--nonsense", "1")
    errors = {one.found: one for one in found if one.severity is Severity.ERROR}
    told = "\n".join(errors)
    assert "import z3: z3 does not find its library" in told
    assert "sgl_kernel (and so sglang.srt.entrypoints.http_server): files of sgl_kernel are" in told
    assert "the engine's argument parser: an option is unknown" in told
    assert "import kt_kernel" in told and "torch 2.9.1 has no code for" in told
    module = errors["sglang's module of DeepseekV4ForCausalLM fails"]
    assert "No module named 'dill_pickles'" in module.reason
    assert "deepseek_v4.py:1" in module.reason
    assert "module dill_pickles" in module.cure
    assert all(one.cure and one.source for one in errors.values())


def test_without_a_driver_what_needs_one_is_not_called_wrong(
    box: Recorded, site: Path, model: Path
) -> None:
    no_driver = "raise ImportError('libcuda.so.1: cannot open shared object file')"
    write(site, "sgl_kernel/__init__.py", no_driver)
    write(site, "sglang/srt/entrypoints/http_server.py", "import sgl_kernel")
    for name in [*box.commands]:
        if name.startswith("nvidia-smi"):
            del box.commands[name]
    found = look(box, site, model)
    assert [one.severity for one in found] == [Severity.OK, Severity.NOTE]
    assert found[1].found.endswith("(and so sglang.srt.entrypoints.http_server): not checked")


def test_the_file_of_the_key_is_not_read(box: Recorded, site: Path, model: Path) -> None:
    """And an installation without a model is looked at all the same."""
    words = ("--config", f"/state/{key_file.NAME}", "--port", "1")
    case = Case(plan(model, *words), machine(box, site))
    assert "--config" not in imports.arguments(case)
    assert imports.arguments(case)[-2:] == ["--port", "1"]
    argv = (sys.executable, "--device", "cpu")
    bare = Case(replace(guide(model), argv=argv, model="."), case.machine)
    assert imports.arguments(bare) == ["--device", "cpu", "--model-path", "."]
    assert json.dumps([one.argument for one in imports.steps(bare)])


def test_an_interpreter_without_the_engine_is_for_the_plain_checks(
    box: Recorded, site: Path, model: Path
) -> None:
    empty = guide(model, python="/bin/false")
    assert deep.examine(empty, machine(box, site)) == []
