"""The embedded server: a real llama.cpp with the real small model."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from jobs.processes import identity
from jobs.store.state_dir import StateDir
from ktclient.config import settings as config
from ktclient.request import stream
from ktclient.request.events import Completed, Prefilled, Text
from ktclient.request.stream import LongRequest
from ktclient.servers import probe, queries, selection, turn_marks
from server_bundle import package_data
from server_bundle.embedded import server as embedded
from server_bundle.launch.running_note import RunningServer

Until = Callable[..., object]
GATHERED = Path(__file__).parents[1] / "data" / "turn_marks.toml"


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def running(state: StateDir, model_cache: Path) -> RunningServer:
    return embedded.ensure_up(state.server, model_cache, quiet)


def test_many_ask_for_it_and_one_is_started(state: StateDir, model_cache: Path) -> None:
    """Whoever comes second gets the first one's server."""
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(embedded.ensure_up, state.server, model_cache, quiet) for _ in range(4)
        ]
        assert len({one.result().url for one in asked}) == 1


def test_it_serves_only_this_machine_and_says_who_it_is(running: RunningServer) -> None:
    """127.0.0.1, a free port, the alias as model name, the native window."""
    assert running.url.startswith("http://127.0.0.1:")
    facts = probe.probe(running.url, None)
    assert (facts.dialect, facts.model, facts.window) == ("llama.cpp", embedded.MODEL, 8192)


def test_its_survey_is_what_it_says_of_itself(running: RunningServer, until: Until) -> None:
    """The window of a slot and the slots by /props; busy while one of /slots is, and only then."""
    facts = probe.probe(running.url, None)
    props = httpx2.get(f"{running.url}/props", trust_env=False).json()
    slots = httpx2.get(f"{running.url}/slots", trust_env=False).json()
    known = queries.survey(facts, None, 30)
    assert known.window == props["default_generation_settings"]["n_ctx"] == slots[0]["n_ctx"]
    assert known.max_running == props["total_slots"] == len(slots)
    assert known.is_busy is any(slot["is_processing"] for slot in slots) is False
    assert (known.has_prefix_cache, known.progress, known.pool) == (True, "stream", None)
    message = "The ferry was late again this morning. " * 400
    request = LongRequest(running.url, facts.model, message, 8, "0" * 32, {"return_progress": True})
    with contextlib.closing(stream.stream(request, 120)) as events:
        while not isinstance(next(events), Prefilled):
            continue
        assert queries.survey(facts, None, 30).is_busy is True
    until(lambda: queries.survey(facts, None, 30).is_busy is False)


def test_it_counts_a_prompt_exactly_and_reports_its_prefill(running: RunningServer) -> None:
    """What the count says is what the server then reads; progress comes in its own tokens."""
    facts = probe.probe(running.url, None)
    message = "The ferry was late again this morning. " * 80
    counted = queries.count(facts, None, message)
    request = LongRequest(
        running.url, facts.model, message, 8, "0" * 32, queries.request_fields(facts, "0" * 32)
    )
    with contextlib.closing(stream.stream(request, 120)) as events:
        seen = list(events)
    prefilled = [event for event in seen if isinstance(event, Prefilled)]
    (end,) = [event for event in seen if isinstance(event, Completed)]
    assert end.prompt_tokens == counted == prefilled[-1].total == prefilled[-1].done
    assert len(prefilled) >= 3
    assert "".join(event.text for event in seen if isinstance(event, Text)).strip()


@pytest.mark.promise
def test_a_mark_that_was_made_harmless_is_no_mark_to_the_real_engine(
    running: RunningServer,
) -> None:
    """Each special token of its model is one token to llama.cpp wherever it stands, and none once
    it was made harmless."""
    facts = probe.probe(running.url, None)
    told = turn_marks.ask(facts, None)
    assert told is not None and told.is_whole and "<filename>" in told.own
    assert not {"<s>", "[INST]", "<think>"}.intersection(told.own), "it has none of these"
    marks = turn_marks.of(told, "a name that says nothing")
    gathered = package_data.read(GATHERED)["of"]
    (its,) = (one["marks"] for one in gathered if one["model"] == facts.model)

    def tokens(text: str) -> list[int]:
        body = {"content": text, "add_special": False, "parse_special": True}
        answer = httpx2.post(f"{running.url}/tokenize", json=body)
        return list(answer.json()["tokens"])

    special = {mark: tokens(mark) for mark in its}
    assert all(len(ids) == 1 for ids in special.values()), special
    text = " and ".join(f"a {mark}, {mark}{mark} or <{mark}" for mark in its)
    ids = {ids[0] for ids in special.values()}
    assert len(ids & set(tokens(text))) == len(its)
    assert not ids & set(tokens(marks.harmless(text)))
    assert marks.harmless("<s> [INST] <mask>") == "<s> [INST] <mask>"


def test_down_stops_it_and_a_second_down_finds_nothing(
    state: StateDir, running: RunningServer
) -> None:
    """By the process that holds its lock; its record goes with it."""
    stopped = embedded.down(state.server)
    assert stopped is not None and stopped.url == running.url
    assert not identity.is_same_process_alive(running.process)
    assert embedded.status(state.server) is None
    assert embedded.down(state.server) is None


def test_a_killed_server_is_not_called_running_and_comes_up_again(
    state: StateDir, running: RunningServer, model_cache: Path, until: Until
) -> None:
    """Its record lies there and is not believed."""
    os.kill(running.process.pid, signal.SIGKILL)
    until(lambda: not identity.is_same_process_alive(running.process))
    assert embedded.status(state.server) is None
    again = embedded.ensure_up(state.server, model_cache, quiet)
    assert again.process.pid != running.process.pid


def test_it_leaves_by_itself_when_it_is_idle_for_long(
    state: StateDir, model_cache: Path, until: Until
) -> None:
    """Nobody has to remember that it was started."""
    running = embedded.ensure_up(state.server, model_cache, quiet, idle_seconds=0.5)
    until(lambda: not identity.is_same_process_alive(running.process))
    assert "exiting: idle" in Path(running.log).read_text()
    assert embedded.status(state.server) is None


def test_ktserver_tells_the_same(
    ktjob_home: Path, cache_env: dict[str, str], state: StateDir
) -> None:
    """up, status and down from the command line, with exit code 6 when none runs."""
    code = "from ktclient.cli.ktserver import main; main()"

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *args]
        return subprocess.run(command, capture_output=True, text=True)

    assert run("status").returncode == 6
    nothing = run("restart")
    assert nothing.returncode == 6 and "start one with: ktserver up" in nothing.stderr
    assert run("status").returncode == 6, "restart starts nothing that did not run"
    up = run("up")
    assert up.returncode == 0 and up.stdout.strip().startswith("http://127.0.0.1:")
    told = run("status", "--json")
    assert told.returncode == 0 and json.loads(told.stdout)["url"] == up.stdout.strip()
    dry = run("restart", "--dry-run")
    assert dry.returncode == 0 and "would stop" in dry.stderr and "already" not in dry.stderr
    assert run("down").returncode == 0
    assert run("status").returncode == 6


@pytest.mark.promise
def test_it_is_chosen_when_nothing_else_is_there(
    state: StateDir, running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server configured and none answering on the well-known ports."""
    monkeypatch.setattr(selection, "WELL_KNOWN_PORTS", (9,))
    target = selection.choose(config.load(), None, None)
    assert target.is_embedded and target.facts is not None
    assert target.facts.url == running.url
    assert "no server is configured, and none answers" in target.why


@pytest.mark.promise
def test_the_whole_journey_of_a_document(
    ktjob_home: Path, cache_env: dict[str, str], tmp_path: Path
) -> None:
    """From a file to its answer by commands, through a runner, a worker and the real model. A
    second question needs only itself to be read, and is predicted so; its size is known from the
    first one, chat template included."""
    document = tmp_path / "letter.txt"
    document.write_text("The ferry was late again this morning, and nobody knew why.\n" * 25)

    def ktjob(*args: str) -> str:
        command = [sys.executable, "-m", "ktclient", *args]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    words = ("--ask", "What was late?", "--server", "embedded", "--max-tokens", "30")
    job_id = ktjob("submit", str(document), *words)
    ktjob("wait", job_id)
    told = json.loads(ktjob("status", job_id, "--json"))
    assert (told["state"], told["attempt"]) == ("SUCCEEDED", 1)
    assert ktjob("result", job_id)
    (kept,) = json.loads(ktjob("status", "--json"))
    assert kept["id"] == job_id

    again = (str(document), "--ask", "Who knew why it was late?", *words[2:])
    forecast = json.loads(ktjob("check", *again, "--json"))
    second = ktjob("submit", *again)
    ktjob("wait", second)
    first, figures = kept["figures"], json.loads(ktjob("status", second, "--json"))["figures"]
    read, cached = figures["prompt_tokens"], figures["cached_tokens"]
    assert abs(forecast["tokens"] - read) <= 8 and forecast["exact"] is False
    assert forecast["cached"]["job"] == job_id
    assert 0.9 * read < cached and abs(forecast["cached"]["tokens"] - cached) <= 16
    assert figures["predicted_cached_tokens"] == forecast["cached"]["tokens"]
    assert figures["predicted_seconds"] < first["first_token_seconds"] / 4
    assert figures["predicted_seconds"] == round(forecast["first_token_seconds"]["seconds"], 1)
