"""A server's start: followed to READY, told when it fails, never begun twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from fake_sglang.asking import ask
from fake_sglang.process import SCRIPT
from support.serving import KTSERVER, Lab, free_port

from jobs.processes import identity
from jobs.store.state_dir import StateDir
from ktclient.cli import exit_codes
from server_bundle.launch import registry

Until = Callable[..., object]
DEEPSEEK = ("--log-hybrid", "--log-ranks", "2")


@pytest.fixture
def lab(state: StateDir) -> Lab:
    return Lab(state)


def test_up_shows_the_stages_and_returns_when_it_answers(lab: Lab, until: Until) -> None:
    """The URL alone on stdout; the figures that the guide says to check, its doubtful pool, and
    what makes every prefill slow."""
    plan = lab.plan(*DEEPSEEK, "--stage-seconds", "0.7", "--children", "2", "--metrics")
    slow = "[2026-05-10 10:00:00 TP0] KT MXFP4 layerwise prefill disabled; using hybrid CPU/GPU MoE"
    said = ("/bin/sh", "-c", f'echo "{slow}: out of memory"; exec "$@"', "sh", *plan.argv)
    plan = replace(plan, argv=said)
    up = lab.up(plan)
    assert (up.returncode, up.stdout) == (0, f"{plan.url}\n"), up.stderr
    for stage in ("loading weights", "allocating the KV pool", "capturing graphs"):
        assert f"fake: {stage}" in up.stderr
    for figure in (
        "max_total_num_tokens=964,864, planned 964,864; context 1,048,576",
        "chunked_prefill_size=4,096",
        "58.31 GB left (in its log: available_gpu_mem)",
        "5.45 s to capture",
        "warning: prefill will be very slow; its log says: KT MXFP4 layerwise prefill disabled",
        "warning: the KV pool (964,864 tokens) is smaller than the context (1,048,576)",
    ):
        assert figure in up.stderr
    server = lab.engine()
    (warm,) = server.requests()
    assert warm["max_tokens"] == 1
    assert server.wait_for_event("prefill_ended")
    assert ask(server, "/model_info").status == 200
    until(lambda: len(lab.note().members) == 3)  # its supervisor looks now and then
    assert lab.files().record.stat().st_mode & 0o777 == 0o600


def test_up_again_says_so_and_changes_nothing(lab: Lab) -> None:
    """The same facts, no second warm-up; status knows the same server."""
    plan = lab.plan("--metrics")
    first = lab.up(plan, "--no-warm-up", "--json")
    again = lab.up(plan)
    assert (again.returncode, again.stdout) == (0, f"{plan.url}\n")
    assert "'fake' was already started" in again.stderr
    assert (
        json.loads(first.stdout)["server"]
        == json.loads(lab.run("status", "--json").stdout)["server"]
    )
    assert lab.engine().requests() == []
    servers = lab.state.servers
    assert registry.log_of(servers, plan.url + "/v1") == lab.files().log
    assert registry.log_of(servers, "http://127.0.0.1:9") is None


@pytest.mark.promise
def test_many_ask_at_once_and_one_is_started(lab: Lab) -> None:
    """All wait for the same one."""
    plan = lab.plan("--stage-seconds", "0.3")
    with ThreadPoolExecutor(4) as pool:
        ups = list(pool.map(lambda _: lab.up(plan, "--no-warm-up"), range(4)))
    assert {(up.returncode, up.stdout) for up in ups} == {(0, f"{plan.url}\n")}
    assert sum("was already started" in up.stderr for up in ups) == 3
    assert len(lab.living()) == 1


def test_another_plan_of_the_same_name_or_port_is_refused(lab: Lab) -> None:
    """With who is in the way, and nothing started."""
    plan = lab.plan()
    assert lab.up(plan, "--no-warm-up").returncode == 0
    for other, args in (
        (lab.plan("--chunk", "2048", port=plan.port), ()),
        (lab.plan(name="other", port=free_port()), ("--name", "fake")),
        (lab.plan(name="other", port=plan.port), ()),
    ):
        refused = lab.up(other, *args)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "'fake'" in refused.stderr and "ktserver down fake" in refused.stderr
    assert len(lab.living()) == 1


@pytest.mark.promise
def test_a_taken_port_is_told_before_anything_is_loaded(lab: Lab) -> None:
    """sglang itself would find out after minutes."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        plan = lab.plan(port=taken.getsockname()[1])
        up = lab.up(plan)
    assert up.returncode == 1 and f"port {plan.port} of 127.0.0.1 cannot be used" in up.stderr
    assert not lab.files().log.exists()


@pytest.mark.promise
@pytest.mark.parametrize("stage", ["weights", "graphs", "port"])
def test_a_start_that_fails_tells_its_last_words(lab: Lab, stage: str) -> None:
    """Exit code 6, the stage, the log's end, and none of its children left; status says crashed."""
    plan = lab.plan(*DEEPSEEK, "--die-at", stage, "--children", "2", "--strays", "1")
    up = lab.up(plan, "--restart", "on-failure")
    names = {"weights": "loading weights", "graphs": "capturing graphs", "port": "opening its port"}
    assert (up.returncode, up.stdout) == (6, "")
    assert f"in stage {names[stage]!r}: SIGKILL" in up.stderr
    assert "CUDA out of memory" in up.stderr and "fix: " in up.stderr
    assert f"ktserver explain {lab.files().log}" in up.stderr
    assert lab.living() == []
    status = lab.run("status", "--json")
    assert status.returncode == 6 and json.loads(status.stdout)["state"] == "crashed"


def test_an_interpreter_that_is_not_there(lab: Lab) -> None:
    """And one that does not know the module."""
    nowhere = lab.up(lab.plan(argv=("/no/such/python", "-m", "sglang.launch_server")))
    assert nowhere.returncode == 6 and "cannot find the program /no/such/python" in nowhere.stderr
    empty = lab.up(lab.plan(argv=(KTSERVER[0], "-m", "no_such_module")))
    assert empty.returncode == 6 and "exit code 1" in empty.stderr
    assert "No module named no_such_module" in empty.stderr


def test_a_start_that_takes_too_long_goes_on(lab: Lab, until: Until) -> None:
    """Exit code 5 and how to follow and stop it; `down` ends it at any stage."""
    plan = lab.plan("--hang-at", "memory", "--children", "1", ready_seconds=2.0)
    up = lab.up(plan)
    assert up.returncode == 5 and "ktserver logs -f fake" in up.stderr
    assert lab.state_of() == "starting"
    assert json.loads(lab.run("status", "--json").stdout)["state"] == "starting"
    assert lab.run("down").returncode == 0
    assert lab.living() == []


@pytest.mark.promise
def test_ctrl_c_ends_the_waiting_and_not_the_start(lab: Lab, until: Until) -> None:
    """Nor does a closed terminal."""
    plan = lab.plan("--stage-seconds", "1")
    file = lab.file(plan)
    with lab.starting("up", "--plan", file, "--no-check", start_new_session=True) as up:
        until(lambda: lab.state_of() == "starting")
        os.killpg(up.pid, signal.SIGINT)
        _, said = up.communicate()
    assert up.returncode == 130 and "detached; 'fake' is still starting" in said
    os.kill(lab.note().keeper.pid, signal.SIGHUP)
    server = lab.note().server
    assert server is not None
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: lab.state_of() == "ready")
    assert identity.is_same_process_alive(server)


@pytest.mark.promise
def test_a_server_that_is_ready_by_its_log_only_is_not_ready(lab: Lab, until: Until) -> None:
    """The line is there, the port is not."""
    lie = "print('The server is fired up and ready to roll!', flush=True); import time"
    record = str(lab.record())
    plan = lab.plan(argv=(KTSERVER[0], "-c", f"{lie}; time.sleep(600)", record), ready_seconds=3.0)
    up = lab.up(plan)
    assert up.returncode == 5 and "not ready after 3 s" in up.stderr
    assert json.loads(lab.run("status", "--json").stdout)["state"] == "not answering"


def test_dry_run_and_wrong_plans_start_nothing(lab: Lab, tmp_path: Path) -> None:
    """The script on stdout; each mistake in words."""
    plan = lab.plan(environment={"SGLANG_X": "a b"})
    dry = lab.up(plan, "--dry-run")
    assert dry.returncode == 0 and "export SGLANG_X='a b'" in dry.stdout
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for args in (
        ("--plan", str(broken)),
        ("--plan", str(tmp_path / "none.json")),
        ("--plan", lab.file(plan), "--profile", "x"),
        ("--plan", lab.file(plan), "--port", "7"),
        ("--profile", "generic-sglang"),
        ("--profile", "embedded", "--port", "7"),
        ("--plan", lab.file(plan), "--name", "../x"),
        ("--plan", lab.file(plan), "--name", "embedded"),
        ("--profile", "no-such-profile", "--model", "m"),
    ):
        wrong = lab.run("up", *args)
        assert wrong.returncode == 2 and "Traceback" not in wrong.stderr, args
    for file, why in (
        (broken, "it is not JSON (line 1, column 2)"),
        (tmp_path / "none.json", "No such file or directory"),
    ):
        assert lab.run("up", "--plan", str(file)).stderr == f"ktserver: --plan {file}: {why}\n"
    assert not lab.state.servers.exists()


def test_up_works_out_the_plan_itself(lab: Lab, tmp_path: Path) -> None:
    """With the options of `ktserver plan`; the interpreter here is one that runs the double."""
    lab.record().mkdir(parents=True)
    double = f"exec {KTSERVER[0]} {SCRIPT} --log /dev/stderr --record {lab.record()}"
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        'while [ $# -gt 0 ]; do if [ "$1" = --port ]; then port=$2; fi; shift; done\n'
        f'[ -n "$port" ] && {double} --port "$port"\n'
    )
    python.chmod(0o700)
    port = str(free_port())
    wanted = ("--profile", "generic-sglang", "--model", str(tmp_path), "--python", str(python))
    wanted += ("--engine", "sglang-kt", "--engine-version", "0.7.2", "--port", port)
    refused = lab.run("up", *wanted, "--name", "fake")  # this machine has neither GPU nor weights
    assert refused.returncode == exit_codes.NO_SERVER and "ERROR  weights" in refused.stderr
    assert "--no-check" in refused.stderr and not lab.files().folder.exists()
    up = lab.run("up", *wanted, "--name", "fake", "--no-warm-up", "--no-check")
    assert (up.returncode, up.stdout) == (0, f"http://127.0.0.1:{port}\n"), up.stderr
    assert lab.note().profile == "generic-sglang"
    shown = lab.run("plan", *wanted, "--json")
    plan = tmp_path / "plan.json"
    plan.write_text(shown.stdout)
    checked = lab.run("up", "--plan", str(plan), "--name", "another")
    assert checked.returncode == exit_codes.NO_SERVER and "ERROR  weights" in checked.stderr
    assert not lab.files("another").folder.exists()
    again = lab.run("up", "--plan", str(plan), "--name", "fake")
    assert again.returncode == 0 and "was already started" in again.stderr, again.stderr
    assert lab.run("down").returncode == 0


@pytest.mark.promise
def test_no_key_reaches_record_log_or_the_servers_environment(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is used: a server that wants one is ready, and warmed up."""
    monkeypatch.setenv("KTJOB_API_KEY", "sk-secret-of-the-test")
    key = lab.state.root / "records" / "key"
    key.parent.mkdir()
    plan = lab.plan("--require-key", "sk-secret-of-the-test")
    hidden = (*plan.argv[:-2], "--require-key")  # the scripted server's own way to know it
    key.write_text("sk-secret-of-the-test")
    shell = ("/bin/sh", "-c", f'exec "$@" "$(cat {key})"', "sh", *hidden)
    up = lab.up(lab.plan(argv=shell, port=plan.port))
    assert up.returncode == 0 and "warmed up with" in up.stderr, up.stderr
    server = lab.note().server
    assert server is not None
    for path in (lab.files().record, lab.files().plan, lab.files().log):
        assert "sk-secret" not in path.read_text()
    assert b"sk-secret" not in Path(f"/proc/{server.pid}/environ").read_bytes()
    monkeypatch.delenv("KTJOB_API_KEY")
    without = lab.run("restart")
    assert without.returncode == 0 and "set KTJOB_API_KEY" in without.stderr


def test_the_server_finds_the_programs_beside_its_interpreter(lab: Lab) -> None:
    """Without them nothing is compiled at the first forward: `ninja` is one of a venv's own."""
    plan = lab.plan()
    assert lab.up(plan, "--no-warm-up").returncode == 0
    server = lab.note().server
    assert server is not None
    variables = Path(f"/proc/{server.pid}/environ").read_bytes().split(b"\0")
    (path,) = (one for one in variables if one.startswith(b"PATH="))
    beside = os.path.dirname(plan.python)
    assert path == f"PATH={beside}{os.pathsep}{os.environ['PATH']}".encode()


def test_the_embedded_one_stays_as_it_was(lab: Lab) -> None:
    """`--profile embedded` is no profile at all; both kinds are listed together."""
    dry = subprocess.run(
        [*KTSERVER, "up", "--profile", "embedded", "--dry-run"], capture_output=True, text=True
    )
    assert dry.returncode == 0 and "would start the embedded server" in dry.stderr
    assert lab.run("down").stderr.strip() == "no server started by ktserver is running"
    assert lab.run("logs").returncode == 6
