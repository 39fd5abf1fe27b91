"""Completion as the shells call it: the real bash, and click's protocol for zsh and fish."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.model import Capacity, NewJob
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

COMMANDS = Path(sys.executable).parent
SPEC = (
    '{"version": 1, "task": {"kind": "summarize", "text": ""}, "server": "embedded", '
    '"model": null, "max_tokens": 1, "timeout": 1.0}'
)


@pytest.fixture
def jobs(state: StateDir) -> tuple[str, str]:
    """One that waits and one, older, that was cancelled."""
    with Store.open(state) as store:
        new = [
            NewJob(pool="embedded", spec=SPEC, document=b"text", title=title, weight=1)
            for title in ("old: one, two", "new")
        ]
        old, young = store.submit_all(new, Capacity())
        store.request_cancel(old.id)
    return young.id, old.id


def completed(shell: str, line: str) -> list[str]:
    """What the shell's script is answered, for the last word of a line; click's protocol."""
    words = line.split(" ")
    program = words[0]
    current = words[-1] if shell == "fish" else str(len(words) - 1)
    environ = {
        **os.environ,
        f"_{program.upper()}_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": current,
    }
    done = subprocess.run([str(COMMANDS / program)], capture_output=True, text=True, env=environ)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def in_bash(line: str) -> list[str]:
    """COMPREPLY after the script's own function has run."""
    words = line.split(" ")
    script = (
        f"source <({words[0]} completion bash 2>/dev/null)\n"
        f"COMP_WORDS=({' '.join(shlex.quote(word) for word in words)})\n"
        f"COMP_CWORD={len(words) - 1}\n"
        f'_{words[0]}_completion {words[0]}\nprintf "%s\\n" "${{COMPREPLY[@]}}"\n'
    )
    environ = {**os.environ, "PATH": f"{COMMANDS}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, env=environ
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_offers_live_ids_those_first_that_the_command_is_for(jobs: tuple[str, str]) -> None:
    """Unfinished ones to wait for, finished ones to read."""
    young, old = jobs
    assert in_bash("ktjob wait ") == [young, old]
    assert in_bash("ktjob result ") == [old, young]
    assert in_bash("ktjob rm ") == [old]
    assert in_bash(f"ktjob rm {old} ") == []
    assert in_bash(f"ktjob cancel {young[:5]}") == [young]
    assert "completion" in in_bash("ktjob comp")
    assert "--max-tokens" in in_bash("ktjob submit a.txt --max")
    assert "up" in in_bash("ktserver u")


def test_zsh_and_fish_are_told_state_and_title(jobs: tuple[str, str]) -> None:
    """Without the characters at which their scripts split."""
    young, old = jobs
    waiting, ended = ("plain", young, "QUEUED new"), ("plain", old, "CANCELLED old  one  two")
    assert completed("zsh", "ktjob wait ") == [*waiting, *ended]
    assert completed("fish", f"ktjob wait {old[:6]}") == [f"plain,{old}\tCANCELLED old  one  two"]


def test_servers_files_and_settings(tmp_path: Path) -> None:
    """By the kind of what is wanted."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text('[servers.gpu1]\nurl = "http://gpu1:1"\n')
    assert completed("bash", "ktjob submit a.txt --server g") == ["plain,gpu1"]
    assert completed("bash", "ktjob config key ") == ["plain,default", "plain,gpu1"]
    assert completed("bash", "ktjob config set server.m") == ["plain,server.model"]
    assert completed("bash", "ktjob config set server.api_key_f") == ["plain,server.api_key_file"]
    assert completed("bash", "ktjob config set defaults.max_t") == ["plain,defaults.max_tokens"]
    assert completed("bash", "ktjob config set sta") == []
    assert completed("bash", "ktjob submit a") == ["file,a"]
    assert completed("bash", "ktjob wait --state su") == ["plain,succeeded"]
    assert completed("bash", "ktjob submit a.txt --thinking o") == ["plain,on", "plain,off"]
    assert "plain,deepseek-v4-flash-4x5090" in completed("bash", "ktserver up --profile ")


@pytest.mark.promise
def test_it_creates_and_starts_nothing(tmp_path: Path, state: StateDir) -> None:
    """Not where there is nothing, and not where a job waits without a runner."""
    with Store.open(state) as store:
        job = store.submit(
            NewJob(pool="embedded", spec=SPEC, document=b"t", title="t", weight=1), Capacity()
        )
    before = {path: path.stat().st_mtime_ns for path in state.root.rglob("*") if path.is_file()}
    assert completed("bash", "ktjob wait ") == [f"plain,{job.id}"]
    assert (
        before.items()
        <= {
            path: path.stat().st_mtime_ns for path in state.root.rglob("*") if path.is_file()
        }.items()
    )
    assert not state.runner_lock.exists() and not state.runner_log.exists()
    shutil.rmtree(state.root)
    assert completed("bash", "ktjob wait ") == []
    assert not state.root.exists()


def test_a_broken_configuration_or_store_offers_nothing(tmp_path: Path, state: StateDir) -> None:
    """Whoever presses Tab wants no message."""
    state.database.write_bytes(b"no database" * 100)
    assert completed("bash", "ktjob wait ") == []
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text("[nonsense")
    assert completed("bash", "ktjob submit a.txt --server ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_says_where_it_goes(shell: str, ktjob_command: list[str]) -> None:
    """The script on stdout alone."""
    done = subprocess.run([*ktjob_command, "completion", shell], capture_output=True, text=True)
    assert "_KTJOB_COMPLETE" in done.stdout and f"in every new {shell}" in done.stderr
