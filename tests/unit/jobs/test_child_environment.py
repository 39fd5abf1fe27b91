"""No child gets a variable that holds a key, wherever a program is started."""

from __future__ import annotations

import ast
import os

import pytest
from support import requests_made

from jobs import child_environment, known_secrets
from server_bundle.launch import child
from server_bundle.plan import build, overrides, profile
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.overrides import Overrides

STARTS = {
    "subprocess.run",
    "subprocess.Popen",
    "subprocess.call",
    "subprocess.check_output",
    "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell",
    "os.system",
    "os.popen",
    "os.posix_spawn",
}
NOWHERE = MachineFacts(None, None, None)
BY_CLICK = {"click.edit", "click.echo_via_pager", "click.launch"}


def test_every_start_of_a_program_says_what_environment_it_gets() -> None:
    """A new one makes this fail unless it passes one, or is inside `without_keys`."""
    seen = 0
    for name, tree in requests_made.modules():
        inside = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.With) and "without_keys" in ast.unparse(node.items[0])
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in BY_CLICK:
                assert id(node) in inside, (name, node.lineno)
            if isinstance(node, ast.Call) and called in STARTS:
                seen += 1
                given = [ast.unparse(one.value) for one in node.keywords if one.arg == "env"]
                assert given and "os.environ" not in given[0], (name, node.lineno)
    assert seen >= 12


def test_a_child_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable's name, and by what another one holds."""
    known_secrets.know_variable("MY_KEY")
    known_secrets.know("a-key-of-the-test")
    given = {
        "KTJOB_API_KEY": "x",
        "MY_KEY": "y",
        "OPENAI_API_KEY": "a-key-of-the-test",
        "URL": "http://a-key-of-the-test@host",
        "KTJOB_READY_FD": "5",
        "KTJOB_SERVER": "http://host:1",
        "PATH": "/bin",
    }
    assert child_environment.inherited(given) == {"KTJOB_SERVER": "http://host:1", "PATH": "/bin"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert not set(child_environment.of_reader()) & (set(given) - {"PATH"})


def test_a_server_gets_its_plans_variables_over_the_inherited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of them, its Python's folder first in PATH; no key and none of ktjob's own."""
    known_secrets.know("a-key-of-the-test")
    inherited = {
        "KTJOB_API_KEY": "x",
        "KTJOB_SERVER": "http://host:1",
        "OPENAI_API_KEY": "a-key-of-the-test",
        "HF_TOKEN": "the server loads its weights with it",
        "TORCH_CUDA_ARCH_LIST": "8.0",
        "PATH": "/bin",
    }
    monkeypatch.setattr(os, "environ", inherited)
    given = ["TORCH_CUDA_ARCH_LIST=9.0", "NCCL_DEBUG=WARN"]
    wish = Overrides(
        model="/m",
        python="/venv/bin/python",
        version="0.7.2",
        environment=overrides.environment_of(given),
    )
    plan = build.launch_plan(profile.load("deepseek-v4-flash-4x5090"), wish, NOWHERE)
    assert child.environment_for(plan) == {
        "HF_TOKEN": "the server loads its weights with it",
        "PATH": "/venv/bin:/bin",
        "TORCH_CUDA_ARCH_LIST": "9.0",
        "NCCL_DEBUG": "WARN",
        "CUDA_VISIBLE_DEVICES": "0,1,2,3",
        "FLASHINFER_CUDA_ARCH_LIST": "12.0a",
        "SGLANG_DSV4_MODE": "2604",
        "SGLANG_DSV4_2604_SUBMODE": "2604B",
    }


def test_a_library_that_passes_os_environ_passes_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it starts its program; afterwards all is as before, also after an error."""
    monkeypatch.setenv("KTJOB_API_KEY", "x")
    with pytest.raises(ValueError, match="failed"), child_environment.without_keys():
        assert "KTJOB_API_KEY" not in os.environ
        raise ValueError("failed")
    assert os.environ["KTJOB_API_KEY"] == "x"
