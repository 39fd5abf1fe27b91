"""Progress of a real job against the scripted server and the real llama.cpp, as `status` tells."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support.patience import HANG_SECONDS

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, submit_long
from ktclient.records.snapshot import Snapshot
from ktclient.servers.gauges import COUNTER, LOADS, METRICS

Until = Callable[..., object]

TOKENS = 80_000
PROMPT = "x" * int(TOKENS * 4.4)
# Of these characters both sides count the same: 4.4 to a token. Of a model without a vocabulary
# here, which would count them otherwise.
SERVER = ("--model", "stand-in", "--tokens-per-char", str(1 / 4.4))
SERVER += ("--rate", "30000", "--noise", "0.1")
NEW = ("--metrics", "--flavour", "upstream", "--release", "0.5.23")
OFTEN = (
    "ktclient.servers.watcher.METRICS_SECONDS=0.1,ktclient.servers.watcher.LOADS_SECONDS=0.1,"
    "ktclient.servers.watcher.FIRST_SECONDS=600,ktclient.worker.server.WORKER_SECONDS=1,"
    "ktclient.worker.reporter.WRITE_SECONDS=0.2"
)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch, ktjob_home: Path) -> None:
    """Looks every tenth of a second instead of every two, for the first time before the request is
    sent, however long that takes; a busy server is asked about its size for a second at most."""
    support = Path(__file__).parents[1] / "support" / "killing"
    monkeypatch.setenv("PYTHONPATH", str(support))
    monkeypatch.setenv("KTJOB_CONSTANTS", OFTEN)


def followed(job: Job) -> list[Snapshot]:
    """All that was shown of a job until its end."""
    seen, give_up = [job.status()], time.monotonic() + HANG_SECONDS
    while not seen[-1].is_finished:
        assert time.monotonic() < give_up, seen[-1]
        time.sleep(0.05)
        seen.append(job.status())
    assert seen[-1].state == "SUCCEEDED", seen[-1].message
    return seen


@pytest.mark.parametrize(
    ("options", "source"), [(("--metrics",), METRICS), ((), LOADS), (NEW, COUNTER)]
)
def test_a_prefill_is_followed_by_the_best_that_the_server_tells(
    tmp_path: Path, until: Until, options: tuple[str, ...], source: str
) -> None:
    """Waiting, prefill with a bar that only rises, speed and time left; none of it at the end."""
    slow = ("--rate", "1000", "--chunk", "400")  # reads for 80 s: it outlasts the looks
    with fake_sglang(tmp_path, *SERVER, *slow, *options) as server:
        server_was_warm = submit_long("warm up", server=server.url)  # the counter has begun
        server_was_warm.wait()
        job = submit_long(PROMPT, server=server.url)
        seen: list[Snapshot] = []

        def is_enough() -> bool:
            seen.append(job.status())
            return seen[-1].eta_seconds is not None and len({one.done for one in seen}) > 4

        until(is_enough)
        job.cancel()
        job.wait()
        end = job.status()
    bars = [one for one in seen if one.phase == "prefill" and one.done is not None]
    done = [one.done for one in bars if one.done is not None]
    assert done == sorted(done) and len(set(done)) >= 4
    assert all(one.total is not None and abs(one.total - TOKENS) < 0.01 * TOKENS for one in bars)
    assert {one.progress_source for one in bars} == {source}
    assert not any(one.is_estimate for one in seen)
    timed = [one for one in bars if one.eta_seconds is not None and one.tokens_per_second]
    assert timed, "speed and time left were never shown"
    assert end.eta_seconds is None and end.tokens_per_second is None


@pytest.mark.promise
def test_behind_another_it_waits_without_a_bar_and_is_an_estimate(
    tmp_path: Path, until: Until
) -> None:
    """One is prefilled, and is sure; the other waits in the server's queue, then is a guess."""
    config = tmp_path / "config" / "config.toml"
    config.parent.mkdir()
    with fake_sglang(tmp_path, *SERVER, "--metrics") as server:
        config.write_text(f'[server]\nurl = "{server.url}"\nparallel = 2\n')
        first = submit_long(PROMPT * 3)
        until(lambda: first.status().phase == "prefill")
        server.hold()
        second = submit_long(PROMPT + "y")
        until(lambda: second.status().progress_source)
        server.let_go()
        shown = [one for one in followed(second) if one.progress_source is not None]
        assert all(one.is_estimate for one in shown if one.phase == "prefill")
        waiting = [one for one in shown if one.phase == "waiting"]
        assert waiting and all(one.done is None for one in waiting)
        told = second.status().figures
        assert f"was reading your job {first.id} when this was sent" in str(told["shared"])
        assert f"until your job {first.id} has been read" in str(told["predicted_as"])
        assert first.status().figures["shared"] is None


def test_after_one_prefill_the_next_is_predicted_before_it_starts(tmp_path: Path) -> None:
    """By what the first job's worker left in the store; half as long again, and otherwise new."""
    with fake_sglang(tmp_path, *SERVER, "--metrics") as server:
        submit_long(PROMPT, server=server.url).wait()
        second = followed(submit_long("y" * (len(PROMPT) * 3 // 2), server=server.url))
    end = second[-1].figures
    predicted = end["predicted_seconds"]
    assert isinstance(predicted, float) and isinstance(end["first_token_seconds"], float)
    assert predicted == pytest.approx(end["first_token_seconds"], rel=0.25), (
        "0.1 on an idle machine"
    )


@pytest.mark.promise
def test_a_ghost_of_ones_own_is_not_called_others_and_its_rest_is_predicted(
    tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One teaches the speed; one is cancelled in its prefill, which sglang-kt computes to its end;
    the next one waits for that rest first, says so from the beginning, and teaches nothing."""
    soon = f"{OFTEN},ktclient.worker.abort.AFTER_CANCEL_SECONDS=0.5"
    monkeypatch.setenv("KTJOB_CONSTANTS", soon)
    with fake_sglang(tmp_path, *SERVER, "--metrics", "--flavour", "kt") as server:
        submit_long(PROMPT, server=server.url).wait()
        ghost = submit_long("z" * 3 * len(PROMPT), server=server.url)
        until(lambda: ghost.status().phase == "prefill" and ghost.status().eta_seconds)
        server.hold()
        ghost.cancel()
        ghost.wait(HANG_SECONDS)
        job = submit_long("y" * len(PROMPT), server=server.url)
        until(lambda: job.status().figures.get("predicted_as"))
        command = [sys.executable, "-m", "ktclient", "status", job.id]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        server.let_go()
        job.wait(HANG_SECONDS)
    message, figures = str(ghost.status().message), job.status().figures
    assert "the text so far" not in message, "there was none"
    assert message.startswith("cancelled on request. ") and "either for other clients" in message
    assert f"still computing your job {ghost.id}, which ended " in str(figures["shared"])
    assert f"until your job {ghost.id} (ended " in str(figures["predicted_as"])
    own, ahead = 80_000 / 30_000, float(str(figures["ahead_seconds"]))
    assert 0 < ahead < 3.5 * own
    assert figures["predicted_seconds"] == pytest.approx(ahead + own, rel=0.4)
    assert "TTFT in" in shown
    with Store.open(StateDir(tmp_path / "state")) as store:
        known = store.recall(server.url, "prefills of stand-in")
    assert known is not None and len(known["looks"]) == 1  # type: ignore[arg-type]


def test_status_json_has_the_numbers(tmp_path: Path, until: Until) -> None:
    """For scripts: `ktjob status ID --json`."""
    with fake_sglang(tmp_path, *SERVER[:2], "--rate", "1000", "--metrics") as server:
        job = submit_long(PROMPT, server=server.url)  # reads for 80 s: it outlasts the looks
        until(lambda: job.status().tokens_per_second)
        command = [sys.executable, "-m", "ktclient", "status", job.id]
        told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
        words = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert job.status().phase == "prefill"
        job.cancel()
        job.wait()
    numbers = json.loads(told.stdout)
    assert numbers["progress_source"] == METRICS and numbers["is_estimate"] is False
    assert numbers["tokens_per_second"] > 0 and numbers["total"] > 0
    assert "tokens/s" in words


@pytest.mark.long
def test_the_real_llama_cpp_tells_its_own_progress_and_is_then_predicted(
    cache_env: dict[str, str], report: Path, ktjob_home: Path
) -> None:
    """Inside the stream, exact, from the first batch to the last. Before one prompt was read
    nothing is known; the second is shown its time before its first word."""
    text = report.read_text(encoding="utf-8")
    first, other = text[:7_000], text[7_000:10_000]  # no prefix in common; batches of 512 tokens
    seen = followed(submit_long(first, summarize=True, server="embedded", max_tokens=4))
    bars = [one for one in seen if one.phase == "prefill" and one.done is not None]
    done = [one.done for one in bars if one.done is not None]
    assert done and done == sorted(done)
    assert {one.total for one in bars} == {seen[-1].figures["prompt_tokens"]}
    assert {one.progress_source for one in bars} == {"stream"}
    phases = [phase for phase, _ in itertools.groupby(one.phase for one in seen)]
    assert phases.index("prefill") < len(phases) - 1 and phases[-1] == "decode"
    assert all("predicted_seconds" not in one.figures for one in seen)

    seen = followed(submit_long(other, server="embedded", max_tokens=1))
    told = [one for one in seen if "predicted_seconds" in one.figures]
    assert told[0].figures.get("first_token_seconds") is None
    predicted, measured = (
        told[-1].figures[name] for name in ("predicted_seconds", "first_token_seconds")
    )
    assert isinstance(predicted, float) and isinstance(measured, float)
    assert 0.2 < predicted / measured < 5, "a shared machine; a tenth of the time is no prediction"
