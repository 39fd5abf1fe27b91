"""`ktserver doctor -- COMMAND`: commands as people type them, and what is printed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.machines import recorded, weights

from ktclient.cli.server import preflight
from server_bundle import doctor
from server_bundle.doctor import command_line


def run(*args: str) -> subprocess.CompletedProcess[str]:
    code = "from ktclient.cli import ktserver; ktserver.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor", *args], capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    return done


def test_the_guides_command_is_understood(tmp_path: Path) -> None:
    """Variables, numactl, the interpreter, and what it is asked for; an = does as well."""
    box = recorded("four-5090", tmp_path / "root").machine()
    words = [
        "SGLANG_DSV4_MODE=2604",
        "TORCH_CUDA_ARCH_LIST=12.0+PTX",
        "numactl",
        "--interleave=all",
        "/opt/venv/bin/python",
        "-m",
        "sglang.launch_server",
        "--host",
        "0.0.0.0",
        "--port=40001",
        "--model",
        "/models/v4",
        "--kt-weight-path",
        "/models/v4",
        "--tensor-parallel-size",
        "4",
        "--context-length",
        "1048576",
    ]
    plan = command_line.plan_of(words, box)
    assert plan.environment == {"SGLANG_DSV4_MODE": "2604", "TORCH_CUDA_ARCH_LIST": "12.0+PTX"}
    assert plan.prefix == ("numactl", "--interleave=all")
    assert plan.argv[:3] == ("/opt/venv/bin/python", "-m", "sglang.launch_server")
    assert (plan.host, plan.port, plan.context, plan.gpus) == ("0.0.0.0", 40001, 1048576, 4)
    assert (plan.engine, plan.version, plan.model) == ("sglang-kt", "0.6.2.post3", "/models/v4")


def test_upstreams_own_command_is_understood(tmp_path: Path) -> None:
    """`sglang serve`: its interpreter lies beside it."""
    recording = recorded("four-5090", tmp_path / "root")
    recording.inside(sglang_kt=None, sglang="0.5.23")
    words = ["env", "A=1", "/opt/v/bin/sglang", "serve", "--model-path", "/models/q", "--tp", "2"]
    plan = command_line.plan_of(words, recording.machine())
    assert (plan.engine, plan.version, plan.python) == ("sglang", "0.5.23", "/opt/v/bin/python")
    assert (plan.host, plan.port, plan.gpus) == ("127.0.0.1", 30000, 2)


@pytest.mark.parametrize(
    "command",
    [["python", "-m", "http.server"], ["ls"], ["python", "-m", "sglang.launch_server"], ["A=1"]],
)
def test_what_starts_no_server_is_usage(command: list[str]) -> None:
    done = run("--", *command)
    assert done.returncode == 2
    assert done.stderr.startswith("ktserver: this command starts no known server: it contains no ")


def test_a_container_is_not_looked_into() -> None:
    """Which is said, as the packages of this machine are not the image's."""
    tail = ("python3", "-m", "sglang.launch_server", "--model", "/m", "--device", "cpu")
    done = run("--", "docker", "run", "img", *tail)
    assert "this command runs in a container" in done.stderr


def test_without_a_server_to_look_at_it_is_usage() -> None:
    assert run().returncode == 2
    assert run("--profile", "nothing", "--model", "x").returncode == 2


def test_a_profile_is_looked_at_as_it_would_be_planned(tmp_path: Path) -> None:
    """The options of `ktserver plan`: this interpreter has no sglang-kt, wherever this runs."""
    model = weights(tmp_path / "DeepSeek-V4-Flash")
    done = run("--model", str(model), "--python", sys.executable, "--port", "40117")
    assert done.returncode == 1
    assert "ok     weights: 3 files, 150.0 GiB, all of the right size\n" in done.stdout
    assert (
        "ok     environment: SGLANG_DSV4_MODE=2604, SGLANG_DSV4_2604_SUBMODE=2604B" in done.stdout
    )
    assert "ERROR  python: no sglang-kt\n" in done.stdout
    assert "port: 127.0.0.1:40117" in done.stdout


def test_findings_are_told_with_reason_and_cure(tmp_path: Path) -> None:
    """On this machine, whatever it is: no folder is an error anywhere, and exit code 1."""
    nowhere = tmp_path / "nowhere"
    command = [sys.executable, "-m", "sglang.launch_server", "--device", "cpu"]
    done = run("--", *command, "--model", str(nowhere))
    assert done.returncode == 1
    assert f"ERROR  weights: the folder {nowhere} does not exist\n" in done.stdout
    assert "       fix: correct --model\n" in done.stdout
    assert "ok     cpu: " in done.stdout
    told = json.loads(run("--json", "--", *command, "--model", str(nowhere)).stdout)
    wrong = next(one for one in told if one["about"] == "weights")
    assert wrong["severity"] == "error"
    assert set(wrong) == {"severity", "about", "found", "reason", "source", "cure"}


def test_who_has_a_port_is_read_from_the_real_kernel(tmp_path: Path) -> None:
    """This process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        model = weights(tmp_path / "m", gib=0.001)
        words = ["python", "-m", "sglang.launch_server", "--device", "cpu", "--port", str(port)]
        machine = preflight.here()
        plan = command_line.plan_of([*words, "--model", str(model)], machine)
        found = [one for one in doctor.examine(plan, machine) if one.about == "port"]
        assert f"127.0.0.1:{port} is in use by process {os.getpid()}: " in found[0].found
