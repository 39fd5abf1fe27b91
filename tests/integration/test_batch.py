"""A file of requests in OpenAI's Batch format, run as one job on the scripted server."""

from __future__ import annotations

import functools
import json
import os
import signal
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support import batches
from support.batches import asked, read, request, said
from support.commands import Run

from jobs import errors as jobs_errors
from jobs.model import Job
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import errors, submit_batch, submit_long
from ktclient.batch import file, preflight
from ktclient.config import settings as config
from ktclient.records import access

Until = Callable[..., object]
QUICK = """
import sys
from jobs.worker import conductor as conducting; from jobs.runner import loop as runner
conducting.LOOK_SECONDS = 0.1
runner.REST_SECONDS, runner.TICK_SECONDS = 0.05, 0.1
runner.main(sys.argv[1:])
"""
"""A runner in which a job whose worker was killed does not rest for five seconds."""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


@pytest.fixture
def quick(state: StateDir, until: Until) -> Iterator[None]:
    argv = [sys.executable, "-c", QUICK, str(state.root), access.WORK_ENTRY]
    with state.runner_log.open("w") as log, subprocess.Popen(argv, stderr=log) as process:
        until(lambda: identity.is_held(state.runner_lock))
        yield
        process.kill()


def newest(state: StateDir) -> Job:
    with Store.open(state) as store:
        return store.newest(1)[0]


def attempt_pid(state: StateDir) -> int:
    with Store.open(state) as store:
        attempt = store.attempt(store.newest(1)[0])
    assert attempt is not None
    return attempt.worker.pid


def answered_so_far(state: StateDir) -> int:
    with Store.open(state) as store:
        return store.tally(store.newest(1)[0].id).succeeded


@pytest.mark.promise
def test_each_line_is_answered_under_its_id_in_order(
    run: Run, tmp_path: Path, results: Path
) -> None:
    """A file for another model, with fields that nobody here knows, runs as it is."""
    requests = [
        request("c", "three?", 3),
        request("a", "one?", 1, top_k=40, response_format={"type": "text"}),
        request("b", "two?", None, max_completion_tokens=2, reasoning_effort="high"),
        request("红", "all?", None),
    ]
    requests[3]["body"]["messages"].insert(1, {"role": "assistant", "content": "<think>Hm."})
    file = batches.write(tmp_path / "requests.jsonl", requests)
    with fake_sglang(tmp_path, *batches.WINDOWED) as server:
        done = run("batch", str(file), "-o", str(results), "--server", server.url, "--wait")
        assert done.returncode == 0, done.stderr
        sent = {one["messages"][-1]["content"]: one for one in server.requests()}
    lines = read(results)
    assert [line["custom_id"] for line in lines] == ["c", "a", "b", "红"]
    told = [(said(line) or "").strip() for line in lines]
    assert told == ["one two three", "one", "one two", batches.WORDS]
    body = lines[0]["response"]["body"]
    assert body["model"] == "DeepSeek-V4-Flash" and body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + 3
    assert "4 lines name gpt-4o-mini" in done.stderr
    assert "1 line without max_tokens: 1,024" in done.stderr and "1 turn mark" in done.stderr
    assert len({one["rid"] for one in sent.values()}) == 4
    assert sent["one?"] | requests[1]["body"] == sent["one?"] | {"model": "gpt-4o-mini"}
    assert sent["one?"]["stream"] is True and sent["one?"]["model"] == "DeepSeek-V4-Flash"
    assert (sent["two?"]["max_tokens"], sent["two?"]["max_completion_tokens"]) == (2, 2)
    assert sent["all?"]["messages"][1]["content"] == "< think>Hm."
    assert sent["all?"]["max_tokens"] == 1024
    assert sent["all?"]["chat_template_kwargs"] == {"thinking": False}
    assert "chat_template_kwargs" not in sent["two?"]
    assert run("result", done.stdout.strip()).stdout == results.read_text()
    umask = os.umask(0o077)
    os.umask(umask)
    assert stat.S_IMODE(results.stat().st_mode) == 0o666 & ~umask


@pytest.mark.promise
def test_a_line_that_fails_is_an_error_line_and_asked_again_on_purpose_only(
    run: Run, tmp_path: Path, results: Path
) -> None:
    """Results are written all the same; a command again asks nothing, and mends the files."""
    file = batches.write(tmp_path / "r.jsonl", [request(f"q{n}", f"{n}?") for n in range(4)])
    fault = ("--fault", "none,http_400_flat", "--max-running", "1")
    with fake_sglang(tmp_path, *batches.WINDOWED, *fault) as server:
        command = ("batch", str(file), "-o", str(results), "--server", server.url, "--wait")
        failed = run(*command)
        assert failed.returncode == 1 and "1 of 4 lines failed" in failed.stderr
        lines = read(results)
        assert [line["custom_id"] for line in lines] == [f"q{n}" for n in range(4)]
        (wrong,) = (line for line in lines if said(line) is None)
        assert wrong["error"]["code"] == "server_refused"
        results.unlink()
        known = submit_batch(file, output=results, server=server.url)
        assert known.id == failed.stdout.strip() and read(results) == lines
        with pytest.raises(errors.BadInput, match="is a batch"):
            known.ask("Why?")
        with pytest.raises(errors.JobFailed) as told:
            known.result()
        assert told.value.partial_text == results.read_text().rstrip("\n")
        apart = tmp_path / "errors.jsonl"
        split = submit_batch(file, output=results, errors=apart, server=server.url).wait()
        assert (split.status().state, read(apart)) == ("FAILED", [wrong])
        assert read(results) == [line for line in lines if line is not wrong]
        assert len(asked(server)) == 4
        mended = run(*command, "--retry-failed", "--quiet")
        assert mended.returncode == 0 and mended.stderr == ""
        assert all(said(line) for line in read(results)) and len(read(results)) == 4
        again = run("retry", split.id)
        assert again.stdout == mended.stdout and len(asked(server)) == 5
        assert f"ktjob retry {split.id}" in run("show", split.id).stdout


@pytest.mark.promise
def test_of_a_changed_file_only_what_changed_is_asked(
    run: Run, tmp_path: Path, results: Path, ktjob_home: Path
) -> None:
    """By custom_id and body, wherever the lines stand now; while it runs, a change is refused."""
    with fake_sglang(tmp_path, *batches.WINDOWED) as server:
        file = batches.write(tmp_path / "r.jsonl", [request(n, f"{n}?") for n in "abc"])
        first = submit_batch(file, output=results, server=server.url)
        assert first.wait().status().state == "SUCCEEDED"
        batches.write(file, [request("d", "d?"), request("c", "c?"), request("a", "changed?", 2)])
        second = submit_batch(str(file), output=str(results), server=server.url)
        assert second.wait().status().state == "SUCCEEDED" and second.id != first.id
        assert sorted(asked(server)) == ["a?", "b?", "c?", "changed?", "d?"]
        assert [line["custom_id"] for line in read(results)] == ["d", "c", "a"]
        assert said(read(results)[2]) == "one two "
        assert submit_batch(file, output=results, server=server.url).id == second.id
        assert second.result() == results.read_text().rstrip("\n")
        assert second.status().figures["lines"] == 3
    with fake_sglang(tmp_path, "--prefill-seconds", "60", "--port", str(server.port)) as server:
        batches.write(file, [request("e", "e?")])
        third = submit_batch(file, output=results, server=server.url)
        assert submit_batch(file, output=results, server=server.url).id == third.id
        batches.write(file, [request("f", "f?")])
        with pytest.raises(
            errors.BadInput, match=f"job {third.id} already writes .* other requests"
        ):
            submit_batch(file, output=results, server=server.url)
        third.cancel()
        assert third.wait().status().state == "CANCELLED"
    assert [line["custom_id"] for line in read(results)] == ["d", "c", "a"]


@pytest.mark.promise
def test_killed_and_run_again_it_asks_nothing_twice(
    run: Run, tmp_path: Path, results: Path, state: StateDir, until: Until, quick: None
) -> None:
    """`kill -9` of the worker that conducts, of the command that waits, and of the runner."""
    file = batches.write(tmp_path / "r.jsonl", [request(f"q{n}", f"{n}?") for n in range(8)])
    with fake_sglang(tmp_path, *batches.WINDOWED, "--max-running", "2") as server:
        server.hold()
        server.step(20)  # two or four of the eight: each is a chunk and eight words
        options = ("batch", str(file), "-o", str(results), "--server", server.url)
        told = run(*options)
        assert told.returncode == 0 and told.stdout.strip() == newest(state).id
        until(lambda: answered_so_far(state) >= 1)
        os.kill(attempt_pid(state), signal.SIGKILL)
        until(lambda: newest(state).attempt == 2 and newest(state).state == "RUNNING")
        _kill_a_waiting_command([*options, "--wait"], until)
        runner = identity.holder(state.runner_lock)
        assert runner is not None
        os.kill(runner.pid, signal.SIGKILL)
        server.let_go()
        again = run(*options, "--wait")
        assert again.returncode == 0, again.stderr
        assert again.stdout == told.stdout and "no request is sent twice" in again.stderr
        assert Counter(asked(server)) == {f"{n}?": 1 for n in range(8)}
    assert [line["custom_id"] for line in read(results)] == [f"q{n}" for n in range(8)]
    assert not list(tmp_path.glob(".ktjob*"))


def _kill_a_waiting_command(args: list[str], until: Until) -> None:
    command = [sys.executable, "-m", "ktclient", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.kill()


@pytest.mark.promise
def test_after_a_cancel_it_goes_on_where_it_was(
    tmp_path: Path, results: Path, state: StateDir, until: Until
) -> None:
    """What was answered stays; the rest is asked. Nothing is written before."""
    file = batches.write(tmp_path / "r.jsonl", [request(f"q{n}", f"{n}?") for n in range(4)])
    with fake_sglang(tmp_path, *batches.WINDOWED, "--max-running", "1") as server:
        server.hold()
        server.step(22)  # two of the four, and some words of the third
        first = submit_batch(file, output=results, server=server.url)
        until(lambda: answered_so_far(state) >= 2)
        first.cancel()
        server.let_go()
        assert first.wait().status().state == "CANCELLED" and not results.exists()
        with Store.open(state) as store:
            kept = [one.part for one in store.parts(first.id) if one.state == "SUCCEEDED"]
        again = submit_batch(file, output=results, server=server.url)
        assert again.wait().status().state == "SUCCEEDED"
        times = Counter(asked(server))
    assert kept and all(times[f"{(name or 'q')[1:]}?"] == 1 for name in kept)
    assert len(read(results)) == 4 and all(said(line) for line in read(results))


@pytest.mark.promise
def test_what_cannot_be_run_is_told_whole_and_stores_nothing(
    run: Run, tmp_path: Path, results: Path
) -> None:
    """The file, what does not fit, and where results cannot go."""
    good = [request("a", "x"), request("b", "y")]
    file = batches.write(tmp_path / "good.jsonl", good)
    bad = batches.write(tmp_path / "bad.jsonl", [{}, request("b", "y", stream=True), {}])
    long = batches.write(tmp_path / "long.jsonl", [*good, request("c", "x " * 9000)])
    with fake_sglang(tmp_path, "--window", "2000") as server:
        wrong = run("batch", str(bad), "-o", str(results), "--server", server.url)
        assert wrong.returncode == 2 and wrong.stdout == ""
        assert all(f"\n  line {number}: " in wrong.stderr for number in (1, 2, 3))
        with pytest.raises(errors.DoesNotFit, match=r"\n  line 3 .*window is 2,000"):
            submit_batch(long, output=results, server=server.url)
        for output, told in (
            (file, "need three different files"),
            (tmp_path, "is a folder"),
            (tmp_path / "no" / "x", "folder not found"),
            (Path("/dev/null"), "not a regular file"),
            (Path("-"), "must go to a file"),
        ):
            with pytest.raises(errors.BadInput, match=told):
                submit_batch(file, output=output, server=server.url)
        with pytest.raises(errors.BadInput, match="max_attempts"):
            submit_batch(file, output=results, server=server.url, max_attempts=0)
        assert asked(server) == []
    assert json.loads(run("status", "--json").stdout) == [] and not results.exists()
    assert json.loads(file.read_text().splitlines()[0]) == good[0]


@pytest.mark.promise
def test_results_that_cannot_be_written_are_kept(
    tmp_path: Path, ktjob_home: Path, until: Until
) -> None:
    """The folder went away while the lines were asked; once it is back, nothing is asked again."""
    file = batches.write(tmp_path / "r.jsonl", [request("a", "x?")])
    folder = tmp_path / "out"
    folder.mkdir()
    with fake_sglang(tmp_path, *batches.WINDOWED) as server:
        server.hold()
        job = submit_batch(file, output=folder / "r", server=server.url)
        until(lambda: asked(server))
        folder.rmdir()
        server.let_go()
        assert job.wait().status().cause == "results_unwritable"
        with pytest.raises(errors.JobFailed) as told:
            job.result()
        assert said(json.loads(told.value.partial_text)) == batches.WORDS
        folder.mkdir()
        again = submit_batch(file, output=folder / "r", server=server.url)
        assert again.wait().status().state == "SUCCEEDED"
        assert said(read(folder / "r")[0]) == batches.WORDS and len(asked(server)) == 1
    (folder / "r").unlink()
    known = submit_batch(file, output=folder / "r", server=server.url)  # which is gone
    assert known.id == again.id and said(read(folder / "r")[0]) == batches.WORDS


def test_a_real_server_answers_a_batch(
    tmp_path: Path, results: Path, ktjob_home: Path, cache_env: dict[str, str]
) -> None:
    """llama.cpp with a model of 135M: several turns, parts of text."""
    parts = [{"type": "text", "text": "Say one word."}]
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    lines = [
        request("a", "Say hello.", 8, temperature=0),
        request("b", "", 8, messages=[*turns, {"role": "user", "content": parts}]),
    ]
    file = batches.write(tmp_path / "r.jsonl", lines)
    job = submit_batch(file, output=results, server="embedded")
    assert job.wait().status().state == "SUCCEEDED", job.status().message
    found = read(results)
    assert all(said(line) for line in found)
    usages = [line["response"]["body"]["usage"] for line in found]
    assert all(0 < one["completion_tokens"] <= 8 < one["prompt_tokens"] for one in usages)


def test_a_batch_waits_for_its_time_and_has_a_word_of_its_submitter(
    tmp_path: Path, results: Path, ktjob_home: Path, until: Until
) -> None:
    """Stored whole at once, and asked later; what it is to start after must be able to succeed."""
    lines = [request("a", "x?", 8, max_completion_tokens=7)]
    file = batches.write(tmp_path / "r.jsonl", lines)
    with fake_sglang(tmp_path, *batches.WINDOWED) as server:
        at = functools.partial(submit_batch, file, output=results, server=server.url, max_tokens=2)
        with pytest.raises(jobs_errors.NoSuchJob):
            at(after=["nosuch"])
        told = tmp_path / "told"
        job = at(label="nightly", at="+2s", on_done=f"echo $KTJOB_ID > {told}")
        with Store.open(StateDir(ktjob_home)) as store:
            stored = store.job(job.id)
        assert stored.label == "nightly" and stored.not_before is not None
        assert job.wait().status().state == "SUCCEEDED"
        with Store.open(StateDir(ktjob_home)) as store:
            assert (store.job(job.id).started_at or "") >= stored.not_before
        (sent,) = server.requests()
    assert (sent["max_tokens"], sent["max_completion_tokens"]) == (2, 2)
    assert said(read(results)[0]) == "one two "
    until(lambda: told.exists() and told.read_text() == f"{job.id}\n")


def test_the_time_of_a_batch_counts_a_common_beginning_once(
    state: StateDir, tmp_path: Path
) -> None:
    """Where the server has a prefix cache, and by the prefill that ktjob saw there."""
    story = "It was a dark and stormy night. " * 1000
    bodies = [request(str(number), f"{story} {number}?", 5) for number in range(4)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(one) + "\n" for one in bodies))
    lines = file.read(str(tmp_path / "in.jsonl"))
    options = preflight.Options(str(tmp_path / "out.jsonl"))
    found = []
    for name, flags in (("cached", ("--radix",)), ("plain", ())):
        (tmp_path / name).mkdir()
        with fake_sglang(tmp_path / name, "--prefill-seconds", "0.5", *flags) as server:
            submit_long(text=f"Another text. {story}", server=server.url, max_tokens=5).wait()
            of_it = replace(options, server=server.url)
            one, all_of_them = (
                preflight.prepare("in.jsonl", some, of_it, config.load()).seconds
                for some in (lines[:1], lines)
            )
        assert one and all_of_them
        found.append(all_of_them / one)
    assert found[0] == pytest.approx(1, abs=0.2) and found[1] == pytest.approx(4, abs=0.2)
