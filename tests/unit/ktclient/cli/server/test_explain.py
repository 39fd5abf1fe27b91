"""`ktserver explain` as a command: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FAILURES = Path(__file__).parents[4] / "data/failures"


def explain(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    code = "from ktclient.cli import ktserver; ktserver.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "explain", *args],
        input=stdin,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    return done


def test_a_known_failure() -> None:
    """The cause, its line by number, the cure and the source; exit code 0."""
    done = explain(str(FAILURES / "weights_damaged.log"))
    assert done.returncode == 0
    assert "FAIL  weights_damaged: " in done.stdout
    assert "line 64: safetensors._safetensors_rust.SafetensorError" in done.stdout
    assert "fix: " in done.stdout
    assert "source: " in done.stdout
    assert "`weights`" in done.stdout


def test_json_says_the_same(tmp_path: Path) -> None:
    done = explain("--json", str(FAILURES / "kv_pool_full.log"))
    told = json.loads(done.stdout)
    (cause,) = told["causes"]
    assert (cause["id"], cause["fatal"], cause["times"]) == ("kv_pool_full", False, 4)
    assert cause["lines"][0]["number"] == 3
    assert told["known"] is False
    assert told["stage"] == "prefill"


def test_an_unknown_failure_is_said_to_be_one() -> None:
    """With the exception; exit code 1."""
    log = 'Traceback (most recent call last):\n  File "x", line 1, in y\nhouse.NewError: what\n'
    done = explain("-", stdin=log)
    assert done.returncode == 1
    assert "unknown cause; the last exception is" in done.stdout
    assert "line 3: house.NewError: what" in done.stdout


def test_a_death_without_its_reason_is_unknown() -> None:
    """That a child died is shown, and that nobody knows why; exit code 1."""
    done = explain(str(FAILURES / "child_failed.log"))
    assert done.returncode == 1
    assert "FAIL  child_failed: " in done.stdout
    assert "unknown cause: the log does not show why that process ended" in done.stdout


def test_nothing_wrong_is_no_failure() -> None:
    ready = "[2026-05-11 13:45:10] The server is fired up and ready to roll!\n"
    done = explain("-", stdin=ready)
    assert done.returncode == 0
    assert "the log shows no failure" in done.stdout
    assert explain("-").stdout.startswith("-: it is empty")


def test_the_exit_status_explains_a_silent_end() -> None:
    silent = "[2026-05-11 13:45:08 TP0] Load weight begin. avail mem=30.59 GB\n"
    assert "killed" in explain("-", "--exit-status", "-9", stdin=silent).stdout


@pytest.mark.parametrize("args", [(), ("--last", "x.log"), ("no-such.log",), ("--last",)])
def test_what_cannot_be_read_is_usage(args: tuple[str, ...], ktjob_home: Path) -> None:
    done = explain(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "ktserver: " in done.stderr


def test_last_is_the_newest_log_of_ours(ktjob_home: Path) -> None:
    """The embedded server's or that of a profile; one just cut to nothing is not it."""
    times = {"server/server.log": 100, "servers/big/server.log": 300, "servers/b/server.log.1": 200}
    for name, time in times.items():
        log = ktjob_home / name
        log.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FAILURES / "port_in_use.log", log)
        os.utime(log, (time, time))
    (ktjob_home / "servers/big/server.log").write_text("")
    done = explain("--last")
    assert "port_in_use" in done.stdout
    assert str(ktjob_home / "servers/b/server.log.1") in done.stdout


def test_a_text_that_is_no_servers_log_is_named_as_such(tmp_path: Path) -> None:
    """No stage is claimed, and nothing is advised."""
    text = tmp_path / "report.txt"
    text.write_text("The winter crossing of the island was cancelled.\nNobody went.\n")
    done = explain(str(text))
    assert done.returncode == 0
    assert "no line of it is an sglang server's" in done.stdout
    assert "stage" not in done.stdout and "journalctl" not in done.stdout
