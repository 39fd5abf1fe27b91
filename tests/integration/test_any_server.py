"""`--server any`: the rule by which a server is chosen, and a job whose server goes away."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.commands import Run
from support.patience import HANG_SECONDS

STORY = "It was a dark and stormy night. "
ORDER = ("first", "second", "third")


def _configure(folder: Path, **servers: FakeServer) -> None:
    folder.mkdir(exist_ok=True)
    tables = [f'[servers.{name}]\nurl = "{one.url}"\n' for name, one in servers.items()]
    (folder / "config.toml").write_text("\n".join(tables))


def _submitted(run: Run, *args: str) -> dict[str, object]:
    done = run("submit", *args, "--server", "any", "--max-tokens", "50", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def _read_by(run: Run, folder: Path, server: str) -> None:
    """Write a.txt, and let this server read it, so that the rule decides for it: whether another
    one says in time that it is idle depends on the machine."""
    (folder / "a.txt").write_text(STORY * 3000)
    asked = ("--ask", "Who?", "--max-tokens", "50", "--server", server, "--wait")
    done = run("submit", "a.txt", *asked)
    assert done.returncode == 0, done.stderr


@pytest.mark.promise
def test_any_server_is_the_one_that_fits_has_read_the_document_and_is_free(
    run: Run, tmp_path: Path
) -> None:
    """A small window first in the file, two large ones, of which one is full."""
    (tmp_path / "long.txt").write_text(STORY * 1500)
    (tmp_path / "other.txt").write_text(STORY * 1400)
    for name in ("small", "one", "two"):
        (tmp_path / name).mkdir()
    flags = ("--radix", "--max-running", "1")
    with (
        fake_sglang(tmp_path / "small", "--window", "2000", "--pool", "5000") as small,
        fake_sglang(tmp_path / "one", *flags) as one,
        fake_sglang(tmp_path / "two", *flags) as two,
    ):
        _configure(tmp_path / "config", small=small, one=one, two=two)
        for server in (one, two):
            server.hold()
        ask = ("--ask", "Who?")
        first = _submitted(run, "long.txt", *ask)["server"]
        assert first in (one.url, two.url)  # not the first in the file, where it does not fit
        other = _submitted(run, "other.txt", *ask)["server"]
        assert {first, other} == {one.url, two.url}  # the one that has no work
        told = run("check", "long.txt", "--ask", "Why?", "--server", "any")
        assert told.returncode == 0 and "it has read this document" in told.stderr
        assert _submitted(run, "long.txt", "--ask", "Why?")["server"] == first
        for server in (one, two):
            server.let_go()
        waited = run("wait", "--all")
        assert waited.returncode == 0, waited.stderr
    counts = {server.url: len(server.requests()) for server in (small, one, two)}
    assert counts == {small.url: 0, first: 2, other: 1}


@pytest.mark.promise
def test_a_job_whose_server_dies_before_it_sends_goes_to_another(run: Run, tmp_path: Path) -> None:
    """Nothing was sent, so nothing is paid twice; the job says where it was and why it moved."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with fake_sglang(tmp_path / "two", "--answer", "Two.") as two:
        with fake_sglang(tmp_path / "one", "--radix") as one:
            _configure(tmp_path / "config", one=one, two=two)
            _read_by(run, tmp_path, "one")
            assert run("pause").returncode == 0
            job = _submitted(run, "a.txt", "--summarize")
            assert job["server"] == one.url
            edited = run("edit", str(job["id"]), "--max-tokens", "40", "--json")
            assert json.loads(edited.stdout)["server"] == one.url, edited.stderr
        assert run("resume").returncode == 0
        shown = run("wait", str(job["id"]), "--print")
        assert (shown.returncode, shown.stdout) == (0, "Two.\n"), shown.stderr
        done = json.loads(run("show", str(job["id"]), "--json").stdout)
        assert len(two.requests()) == 1
    assert done["server"] == two.url and done["attempt"] == 1
    moved = next(event for event in done["events"] if event["kind"] == "another server")
    assert moved["data"]["was"] == one.url and "nothing listens" in moved["data"]["because"]


def test_of_several_jobs_that_are_run_again_each_has_the_best_server_after_those_before_it(
    run: Run, tmp_path: Path
) -> None:
    """As in a submit of several: not all of them the one that was free before the first."""
    files = [f"{name}.txt" for name in ("a", "b", "c", "d")]
    for name in files:
        (tmp_path / name).write_text(name + STORY)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with fake_sglang(tmp_path / "one") as one, fake_sglang(tmp_path / "two") as two:
        _configure(tmp_path / "config", one=one, two=two)
        done = run("submit", *files, "--summarize", "--server", "one", "--wait")
        assert done.returncode == 0, done.stderr
        assert run("pause").returncode == 0
        again = run("rerun", "--state", "succeeded", "--server", "any", "--json")
        assert again.returncode == 0, again.stderr
        jobs = json.loads(again.stdout)
        assert [job["title"] for job in jobs] == files
        assert [job["server"] for job in jobs] == [one.url, two.url] * 2
        edited = run("edit", "--state", "queued", "--ask", "Who?", "--server", "two", "--json")
        assert [job["server"] for job in json.loads(edited.stdout)] == [two.url] * 4, edited.stderr
        assert [job["id"] for job in json.loads(edited.stdout)] == [job["id"] for job in jobs]


@pytest.mark.promise
def test_a_server_that_has_answered_takes_what_waits_for_another(run: Run, tmp_path: Path) -> None:
    """Not what waits for a document that the other one reads."""
    for name, length in (("first", 1000), ("second", 1300), ("third", 900)):
        (tmp_path / f"{name}.txt").write_text(f"{name}. {STORY * length}")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with (
        fake_sglang(tmp_path / "one", "--radix", "--max-running", "1") as one,
        fake_sglang(tmp_path / "two", "--radix", "--max-running", "1") as two,
    ):
        _configure(tmp_path / "config", one=one, two=two)
        one.hold()
        two.hold()
        jobs = [
            _submitted(run, f"{name}.txt", "--ask", "Who?") for name in ("first", "second", "third")
        ]
        jobs.append(_submitted(run, "first.txt", "--ask", "Why?"))
        full, free = (one, two) if jobs[0]["server"] == one.url else (two, one)
        assert [job["server"] for job in jobs] == [full.url, free.url, full.url, full.url]
        free.let_go()
        third = run("wait", str(jobs[2]["id"]), "--json")
        assert json.loads(third.stdout)["server"] == free.url
        full.let_go()
        waited = run("wait", "--all")
        assert waited.returncode == 0, waited.stderr
        assert [len(server.requests()) for server in (one, two)] == [2, 2]


@pytest.mark.promise
def test_what_was_sent_stays_with_its_server_while_that_may_compute(
    run: Run, tmp_path: Path
) -> None:
    """A connection that is cut in the middle of a prefill is no reason to pay for another one. The
    end of the server is: nothing computes there any more."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    cut = ("--fault", "none,cut_midway,none", "--answer", "One by one.", "--radix")
    with fake_sglang(tmp_path / "two", "--answer", "Two.") as two:
        with fake_sglang(tmp_path / "one", *cut) as one:
            _configure(tmp_path / "config", one=one, two=two)
            _read_by(run, tmp_path, "one")
            first = _submitted(run, "a.txt", "--summarize", "--wait")
            assert (first["server"], first["attempt"]) == (one.url, 2)
            assert len(two.requests()) == 0
            one.hold()
            second = _submitted(run, "a.txt", "--ask", "Why?")
            one.wait_for_event("request", n=4)
        shown = run("wait", str(second["id"]), "--print")
        assert (shown.returncode, shown.stdout) == (0, "Two.\n"), shown.stderr
        assert len(two.requests()) == 1


@pytest.mark.promise
def test_two_full_servers_are_asked_no_more_often_than_one(run: Run, tmp_path: Path) -> None:
    """A job goes from one to the other at the pace of its retries, and ends at its time limit."""
    (tmp_path / "a.txt").write_text(STORY * 10)
    full = ("--fault", ",".join(["http_503_queue_full"] * 100))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with (
        fake_sglang(tmp_path / "one", *full) as one,
        fake_sglang(tmp_path / "two", *full) as two,
    ):
        _configure(tmp_path / "config", one=one, two=two)
        job = _submitted(run, "a.txt", "--summarize", "--timeout", "5")
        waited = run("wait", str(job["id"]), "--json")
        assert waited.returncode == 1
        counts = [len(server.requests()) for server in (one, two)]
    done = json.loads(waited.stdout)
    assert (done["state"], done["attempt"], done["cause"]) == ("FAILED", 1, "server_busy")
    assert min(counts) >= 1 and sum(counts) <= 6  # pauses of 1, 2 and 4 s


@pytest.mark.promise
def test_jobs_of_a_server_that_died_go_to_another_in_their_order(run: Run, tmp_path: Path) -> None:
    """The one that found its server away is not passed by those behind it, and has the other server
    as soon as that has answered. Each is sent once, to one server."""
    (tmp_path / "long.txt").write_text(STORY * 2000)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with fake_sglang(tmp_path / "two", "--max-running", "1") as two:
        with fake_sglang(tmp_path / "one", "--max-running", "1") as one:
            _configure(tmp_path / "config", one=one, two=two)
            two.hold()
            assert run("submit", "long.txt", "--summarize", "--server", "two").returncode == 0
            two.wait_for_event("request")
            assert run("pause").returncode == 0
            jobs = [_for(run, one, tmp_path / f"{name}.txt") for name in ORDER]
        assert run("resume").returncode == 0
        _wait_for_phase(run, jobs[0], "waiting for the server")
        two.let_go()
        waited = run("wait", "--all")
        assert waited.returncode == 0, waited.stderr
        sent = [json.dumps(body) for body in two.requests()]
    found = [[name for name in ORDER if f"{name}. It was" in body] for body in sent]
    assert found == [[], *([name] for name in ORDER)]


def _for(run: Run, server: FakeServer, file: Path) -> str:
    """A job that may have any server, and is given to this one, as soon as it answers in time."""
    file.write_text(f"{file.stem}. {STORY}")
    end = time.monotonic() + HANG_SECONDS
    while (job := _submitted(run, str(file), "--summarize"))["server"] != server.url:
        assert time.monotonic() < end
        assert run("cancel", str(job["id"])).returncode == 0
    return str(job["id"])


def _wait_for_phase(run: Run, job_id: str, phase: str) -> None:
    end = time.monotonic() + HANG_SECONDS
    while json.loads(run("show", job_id, "--json").stdout)["phase"] != phase:
        assert time.monotonic() < end


def test_any_server_where_none_can_be_used_and_where_one_must_be_named(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text(STORY)
    refused = run("submit", "a.txt", "--summarize", "--server", "any")
    assert refused.returncode == 6 and "ktjob servers" in refused.stderr
    body = {"messages": [{"role": "user", "content": "Why?"}]}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    (tmp_path / "in.jsonl").write_text(json.dumps(line) + "\n")
    batch = run("batch", "in.jsonl", "-o", "out.jsonl", "--server", "any")
    assert batch.returncode == 6 and "ktjob servers" in batch.stderr


@pytest.mark.promise
def test_a_batch_for_any_server_is_shared_by_those_that_serve_its_model(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the default of the environment. Lines that begin alike stay together, and one server that
    dies leaves its requests to the other."""
    monkeypatch.setenv("KTJOB_SERVER", "any")
    lines = []
    for number in range(12):
        story = STORY * 400 if number >= 6 else ""  # the last six have a long beginning in common
        turns = [{"role": "user", "content": f"{story}"}] if story else []
        body = {"messages": [*turns, {"role": "user", "content": f"Line {number}?"}]}
        line = {"custom_id": f"{number}", "method": "POST", "url": "/v1/chat/completions"}
        lines.append(json.dumps({**line, "body": {**body, "max_tokens": 20}}))
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    for name in ("one", "two", "other"):
        (tmp_path / name).mkdir()
    with (
        fake_sglang(tmp_path / "one", "--radix", "--max-running", "2") as one,
        fake_sglang(tmp_path / "other", "--model", "other/model") as other,
    ):
        with fake_sglang(tmp_path / "two", "--radix", "--max-running", "2") as two:
            _configure(tmp_path / "config", one=one, two=two, other=other)
            one.hold()
            two.hold()
            done = run("batch", "in.jsonl", "-o", "out.jsonl", "--json")
            assert done.returncode == 0, done.stderr
            parts = _parts_stored(run, json.loads(done.stdout)["id"], 12)
            homes = {part["part"]: part["server"] for part in parts}
            assert set(homes.values()) == {one.url, two.url}
            assert len({homes[f"{number}"] for number in range(6, 12)}) == 1
        one.let_go()
        waited = run("wait", "--all")
        assert waited.returncode == 0, waited.stderr
        assert (len(one.requests()), len(other.requests())) == (12, 0)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 12


def _parts_stored(run: Run, job_id: str, count: int) -> list[dict[str, object]]:
    end = time.monotonic() + HANG_SECONDS
    while True:
        found = json.loads(run("list", "--parts", "--json").stdout)
        parts: list[dict[str, object]] = [one for one in found if one["parent"] == job_id]
        if len(parts) == count:
            return parts
        assert time.monotonic() < end
