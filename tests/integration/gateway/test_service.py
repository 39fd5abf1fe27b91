"""`ktjob serve` in the background: --detach, --status, --stop, and its unit."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import unit_checker
from support.commands import Run
from support.gateway import LOOK_SECONDS
from support.patience import HANG_SECONDS

from jobs.model import Identity
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from ktclient.cli.gateway import running
from ktclient.gateway.service import boot_unit, instance


@pytest.fixture
def port(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A free port; what still serves there at the end is killed."""
    monkeypatch.setenv("KTJOB_SERVER", "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
    yield found
    if (left := instance.of_port(state, found)) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(left.process.pid, signal.SIGKILL)


def wait_until_gone(process: Identity) -> None:
    give_up = time.monotonic() + HANG_SECONDS
    while identity.is_same_process_alive(process):
        assert time.monotonic() < give_up
        time.sleep(LOOK_SECONDS)


@pytest.mark.promise
def test_it_runs_in_the_background_until_it_is_stopped(
    state: StateDir, run: Run, port: int
) -> None:
    """It is there when the command returns; a kill -9 leaves nothing that is in the way."""
    option = ("--port", str(port))
    started = run("serve", "--detach", *option)
    assert (started.returncode, started.stdout) == (0, f"http://127.0.0.1:{port}/v1\n")
    first = instance.of_port(state, port)
    assert first is not None and str(first.process.pid) != str(os.getpid())
    again = run("serve", "--detach", *option)
    assert again.returncode == 2 and f"process {first.process.pid}" in again.stderr
    shown = run("serve", "--status")
    assert shown.returncode == 0 and f"process {first.process.pid}" in shown.stdout
    assert "jobs: 0 running, 0 queued" in shown.stdout and "log: " in shown.stdout

    os.kill(first.process.pid, signal.SIGKILL)
    wait_until_gone(first.process)
    dead = run("serve", "--status")
    assert dead.returncode == 6 and "no gateway runs" in dead.stdout
    assert run("serve", "--stop", *option).returncode == 0

    assert run("serve", "--detach", *option, "--quiet").returncode == 0
    (second,) = json.loads(run("serve", "--status", "--json").stdout)["gateways"]
    assert second["answers"] and second["base_url"] == f"http://127.0.0.1:{port}/v1"
    assert second["pid"] != first.process.pid
    stopped = run("serve", "--stop")  # there is no other one
    assert stopped.returncode == 0 and f"process {second['pid']}" in stopped.stdout
    assert instance.all_of(state) == []
    log = Path(second["log"]).read_text(encoding="utf-8")
    assert f"http://127.0.0.1:{port}/v1" in log and "Traceback" not in log


def test_a_start_that_fails_shows_why(run: Run, port: int) -> None:
    """By the end of its log, and with an exit code."""
    with socket.create_server(("127.0.0.1", port)):
        failed = run("serve", "--detach", "--port", str(port))
    assert failed.returncode == 1 and failed.stdout == ""
    assert (
        "Its log, " in failed.stderr and f"cannot listen on 127.0.0.1 port {port}" in failed.stderr
    )
    assert run("serve", "--detach", "--stop").returncode == 2


def test_one_that_does_not_answer_is_shown_and_ended(
    state: StateDir, run: Run, port: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """It was stopped by SIGSTOP: it lives and does not answer, and only SIGKILL ends it."""
    assert run("serve", "--detach", "--port", str(port)).returncode == 0
    found = instance.of_port(state, port)
    assert found is not None
    os.kill(found.process.pid, signal.SIGSTOP)
    monkeypatch.setattr(running, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("ktclient.gateway.service.stop.TERM_SECONDS", 0.1)
    assert running.show(state, None, as_json=False) == 1
    assert "does not answer" in capsys.readouterr().out
    assert running.end(state, port) == 0
    assert "killed" in capsys.readouterr().out
    wait_until_gone(found.process)


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the unit is written."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    return tmp_path / "xdg" / "systemd" / "user" / boot_unit.NAME


def test_the_unit_starts_it_with_the_same_options(
    run: Run, unit: Path, ktjob_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is named and not written; it is removed by its own command only."""
    monkeypatch.setenv("KTJOB_API_KEY", "sk-secret")
    words = ("serve", "--install-unit", "--port", "8123", "--allow-host", "gpu box")
    dry = run(*words, "--dry-run")
    assert dry.returncode == 0 and dry.stdout.startswith(f"# {unit}\n{boot_unit.MARKER}\n")
    assert not unit.exists()
    written = run(*words, "--comment-seconds", "5")
    assert written.returncode == 0 and f"{unit} written" in written.stdout
    assert f"systemctl --user enable --now {boot_unit.NAME}" in written.stdout
    text = unit.read_text()
    assert "Restart=on-failure\n" in text and "KillMode=process\n" in text
    assert '"serve" "--host" "127.0.0.1" "--port" "8123" "--comment-seconds" "5"' in text
    assert '"--allow-host" "gpu box"' in text
    assert f'Environment="KTJOB_HOME={ktjob_home}"' in text
    assert f'"--log" "{ktjob_home}/gateway/serve-8123.log"' in text
    assert "sk-secret" not in text + written.stdout + written.stderr
    assert "KTJOB_API_KEY" in written.stderr
    assert run("serve", "--install-unit", "--port", "0").returncode == 2
    assert f"{unit} removed" in run("serve", "--remove-unit").stdout
    assert not unit.exists()
    unit.write_text("[Service]\n")
    for option in ("--install-unit", "--remove-unit"):
        refused = run("serve", option)
        assert refused.returncode == 2 and "was not written by ktjob" in refused.stderr


@pytest.mark.unit_checker
def test_systemd_accepts_the_unit(run: Run, unit: Path) -> None:
    """Its own checker has nothing to say."""
    assert run("serve", "--install-unit").returncode == 0
    assert unit_checker.complaints(unit) == []
