"""Little memory: words, and what to do; no traceback, no lost job, no second prefill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support import queueing

from jobs.model import Capacity, NewJob, Outcome, Piece
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import submit_long
from ktclient.records import access

# Not on each Python: 3.10 takes memory for every call, so with none left even main() is not called.
Until = Callable[..., object]
LIMITED = """
import resource, sys
{imports}
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
{then}
"""
"""A program that may use so many bytes more than it does when it has been loaded."""
COMMAND = LIMITED.format(imports="from ktclient.cli import ktjob", then="ktjob.main()")
RUNNER = LIMITED.format(
    imports="from jobs.runner import loop\nfrom ktclient import work\nwork.prepare()",
    then="loop.main(sys.argv[1:])",
)
TOY_RUNNER = LIMITED.format(
    imports="from jobs.runner import loop\nimport toy_work", then="loop.main(sys.argv[1:])"
)
MEGABYTE = 1_000_000
SPEC = '{"version":1,"task":{"kind":"ask","text":"?"},"server":"http://127.0.0.1:9","model":null,'
SPEC += '"max_tokens":1,"timeout":1.0}'


@pytest.fixture
def answered(state: StateDir) -> str:
    """The id of a job with an answer of megabytes."""
    new = NewJob("pool", SPEC, b"word " * 100_000, "title")
    with Store.open(state) as store:
        job = store.submit(new, Capacity(slots=1))
        store.claim(job.id, identity.mine())
        store.append(job.id, 1, [Piece(1, "answer", "wörter " * 1_500_000)])
        store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
    return job.id


@pytest.mark.promise
def test_a_command_without_memory_says_so(state: StateDir, answered: str, tmp_path: Path) -> None:
    """At every size, until there is enough: words and code 1, or what it is to do."""
    document = tmp_path / "long.txt"
    document.write_text("word and more. " * 400_000)
    with fake_sglang(tmp_path) as server:
        to = ("--server", server.url, "--split", "never")
        commands = (
            *(("result", answered), ("result", answered, "-o", str(tmp_path / "r"))),
            *(("follow", answered), ("show", answered), ("list", "--search", "nothing")),
            *(("open", answered, "--path"), ("events",), ("backup", str(tmp_path / "copy.db"))),
            *(("submit", str(document), *to), ("check", str(document), *to)),
        )
        told = []
        for room in (0.2, 3, 12, 30):
            for words in commands:
                argv = [sys.executable, "-c", COMMAND, str(int(room * MEGABYTE)), *words]
                said = subprocess.run(argv, capture_output=True, text=True)
                assert "Traceback" not in said.stderr, (room, words, said.stderr)
                is_out = "memory ran out" in said.stderr
                assert said.returncode == 1 or not is_out, (room, words, said.stderr)
                told += [said.stderr] if is_out else []
                assert is_out or said.returncode in (0, 7), (room, words, said.stderr)
        assert len(told) > len(commands) and "Raise that limit" in "".join(told)
    with Store.open(state) as store:
        assert [job.id for job in store.newest(9)] == [answered]
    assert not list(tmp_path.glob(".*")), "drafts were left"


@pytest.mark.promise
def test_a_worker_without_memory_waits_before_it_asks(
    state: StateDir, tmp_path: Path, until: Until
) -> None:
    """It says why, and asks once when there is memory: one attempt, one request."""
    with fake_sglang(tmp_path, "--answer", "Well.") as server:
        argv = [sys.executable, "-c", RUNNER, str(8 * MEGABYTE), str(state.root)]
        with subprocess.Popen([*argv, access.WORK_ENTRY], stderr=subprocess.PIPE) as runner:
            until(lambda: identity.is_held(state.runner_lock))
            job = submit_long("A story.", server=server.url)
            until(lambda: "last_refusal" in job.status().figures)
            reason = str(job.status().figures["last_refusal"])
            assert "of address space (`ulimit -v`). Raise that limit" in reason
            assert server.requests() == []
            with Store.open(state) as store:
                attempt = store.attempt(store.job(job.id))
            assert attempt is not None
            _lift_limit(attempt.worker.pid)
            assert job.wait().status().state == "SUCCEEDED"
            assert (job.status().attempt, len(server.requests())) == (1, 1)
            runner.kill()


def _lift_limit(pid: int) -> None:
    subprocess.run(["prlimit", "--as=unlimited", f"--pid={pid}"], check=True)


@pytest.mark.promise
def test_a_whole_answer_is_not_asked_again_for_lack_of_memory(
    state: StateDir, tmp_path: Path, until: Until
) -> None:
    """Memory runs out in the check of its schema: it is kept, and the job says so."""
    code = "from ktclient.worker import exchange\n"
    code += "exchange._check_answer_schema = lambda *_: bytearray(1 << 62)\n"  # a MemoryError
    argv = [sys.executable, "-c", code + RUNNER, str(1000 * MEGABYTE), str(state.root)]
    with fake_sglang(tmp_path, "--answer", "Well.") as server:
        with subprocess.Popen([*argv, access.WORK_ENTRY], stderr=subprocess.DEVNULL) as runner:
            until(lambda: identity.is_held(state.runner_lock))
            job = submit_long("A story.", server=server.url)
            assert job.result() == "Well."
            runner.kill()
        assert len(server.requests()) == 1
    assert "memory ran out" in str(job.status().figures["warning"])


@pytest.mark.promise
def test_work_that_uses_up_its_memory_has_another_attempt_and_then_says_so(
    state: StateDir, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill by the kernel for memory; its text is kept, and the runner lives."""
    monkeypatch.setenv("PYTHONPATH", str(queueing.SUPPORT))
    job = queueing.put(state, attempts=2, say="before ", hog=True)
    argv = [sys.executable, "-c", TOY_RUNNER, str(100 * MEGABYTE), str(state.root), queueing.WORK]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as runner:
        until(queueing.ended(state, job))
        assert runner.poll() is None
        runner.kill()
    end = queueing.look(state, job)
    assert (end.state, end.cause, end.attempt) == ("FAILED", "out_of_memory", 2)
    assert "of address space (`ulimit -v`)" in (end.message or "")
    assert "Traceback" not in state.job_log(job.id).read_text()
    assert queueing.text_of(state, job) == "before "


@pytest.mark.promise
def test_a_runner_without_memory_says_so_and_exits(state: StateDir) -> None:
    """In one line; the next command starts another."""
    queueing.put(state, say="x")
    env = {**os.environ, "PYTHONPATH": str(queueing.SUPPORT)}
    told: list[str] = []
    for room in (0, 1):
        argv = [sys.executable, "-c", TOY_RUNNER, str(room * MEGABYTE), str(state.root)]
        said = subprocess.Popen([*argv, queueing.WORK], stderr=subprocess.PIPE, text=True, env=env)
        with said as runner:
            assert runner.stderr is not None
            lines = [runner.stderr.readline() for _ in range(2)]
            runner.kill()
        assert "Traceback" not in "".join(lines), lines
        told += lines
    assert "memory ran out: this process may use" in "".join(told), told
