"""Progress of a real job against a server of ours, read in its log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support.own_server import recorded

from jobs.store.state_dir import StateDir
from ktclient import submit_long
from ktclient.servers.log_gauges import LOG
from server_bundle.logs.prefill_count import PrefillCount

Until = Callable[..., object]

CHUNK = 4096
TOKENS = 80_000
PROMPT = "x" * int(TOKENS * 4.4)
# Of these characters both sides count the same: 4.4 to a token.
SERVER = ("--tokens-per-char", str(1 / 4.4), "--rate", "16000", "--log-ranks", "2")
UPSTREAM = ("--flavour", "upstream")  # it leaves no ghost: a cancel is quick
OFTEN = (
    "ktclient.servers.watcher.METRICS_SECONDS=0.05,ktclient.servers.watcher.FIRST_SECONDS=600,"
    "ktclient.worker.reporter.WRITE_SECONDS=0.1"
)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch, ktjob_home: Path) -> None:
    """Looks twenty times a second, for the first time before the request is sent, however long that
    takes."""
    support = Path(__file__).parents[1] / "support" / "killing"
    monkeypatch.setenv("PYTHONPATH", str(support))
    monkeypatch.setenv("KTJOB_CONSTANTS", OFTEN)


def test_the_log_of_a_server_of_ours_is_read(tmp_path: Path, state: StateDir, until: Until) -> None:
    """Although it has /metrics: whole chunks, counted once though two ranks write them, and to
    the last token of the prompt."""
    log = tmp_path / "log"
    options = (*SERVER, "--metrics", "--log", str(log))
    with (
        fake_sglang(tmp_path, *options) as server,
        recorded(state.servers / "fake", server.url, log, server.process.pid),
    ):
        submit_long("before", server=server.url).wait()  # what it read is not ours
        before = counted(log)
        server.hold()
        job = submit_long(PROMPT, server=server.url)
        for chunks in (1, 2, 3):
            server.step()
            until(lambda chunks=chunks: (job.status().done or 0) >= chunks * CHUNK)
            status = job.status()
            assert (status.phase, status.done) == ("prefill", chunks * CHUNK)
            assert status.progress_source == LOG and not status.is_estimate
        command = [sys.executable, "-m", "ktclient", "status", job.id, "--json"]
        told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        server.let_go()
        job.wait()
        end = job.status().figures
    assert told["progress_source"] == LOG and told["is_estimate"] is False
    assert told["done"] == 3 * CHUNK
    assert counted(log) - before == end["prompt_tokens"]


def counted(log: Path) -> int:
    """All that this server has prefilled."""
    count = PrefillCount()
    for line in log.read_text(encoding="utf-8").splitlines():
        count.see(line)
    return count.tokens


@pytest.mark.promise
def test_a_log_that_is_rotated_in_mid_prefill_is_followed(
    tmp_path: Path, state: StateDir, until: Until
) -> None:
    """Renamed while the server, which opens it for each line, goes on in a new one."""
    log = tmp_path / "log"
    with (
        fake_sglang(tmp_path, *SERVER, *UPSTREAM, "--log", str(log)) as server,
        recorded(state.servers / "fake", server.url, log, server.process.pid),
    ):
        server.hold()
        job = submit_long(PROMPT, server=server.url)
        server.step(2)
        until(lambda: (job.status().done or 0) >= 2 * CHUNK)
        log.rename(tmp_path / "log.1")
        server.step(3)
        until(lambda: (job.status().done or 0) > 4 * CHUNK)
        told = job.status()
        server.let_go()
        job.cancel()
        job.wait()
    assert told.phase == "prefill" and told.progress_source == LOG
    assert told.done is not None and told.done % CHUNK == 0 and not told.is_estimate


def test_beside_others_the_log_is_a_sum_too(tmp_path: Path, state: StateDir, until: Until) -> None:
    """It names no request: marked as an estimate, as /metrics would be."""
    log = tmp_path / "log"
    slow = ("--rate", "800", "--chunk", "200")  # the first is read for longer than any test lasts
    with (
        fake_sglang(tmp_path, *SERVER, *slow, *UPSTREAM, "--log", str(log)) as server,
        recorded(state.servers / "fake", server.url, log, server.process.pid),
    ):
        config = tmp_path / "config" / "config.toml"
        config.parent.mkdir(exist_ok=True)
        config.write_text(f'[server]\nurl = "{server.url}"\nparallel = 2\n')
        first = submit_long(PROMPT * 3)
        until(lambda: first.status().phase == "prefill")
        second = submit_long("y" + PROMPT)
        until(lambda: second.status().progress_source == LOG)
        assert second.status().is_estimate and not first.status().is_estimate
        for job in (second, first):
            job.cancel()
            job.wait()
