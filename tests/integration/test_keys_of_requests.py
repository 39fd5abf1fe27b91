"""Every request that ktjob and ktserver make brings its own server's key and no other's, seen by
servers that keep all headers. `tests/support/requests_made.py` lists what must be seen here."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import commands, own_server, requests_made
from support.commands import Run
from support.recording import Recorder, recorder
from support.serving import KTSERVER, Lab

from jobs.store.state_dir import StateDir
from ktclient import Job
from ktclient.servers import queries

Until = Callable[..., object]
KILLING = Path(__file__).parents[1] / "support" / "killing"
OWN, OTHERS, VARIABLE = "key-of-the-own-server", "key-of-another-server", "key-of-the-environment"
FOREIGN = "key-for-the-openai-library"
SEEN = {
    "sglang": {
        *("/v1/models", "/model_info", "/server_info", "/v1/loads", "/metrics", "/tokenize"),
        *("/abort_request", "/v1/chat/completions"),
    },
    "llama.cpp": {
        *("/v1/models", "/props", "/slots", "/apply-template", "/tokenize", "/health"),
        "/v1/chat/completions",
    },
    "vllm": {"/v1/models", "/metrics", "/tokenize", "/version", "/v1/chat/completions"},
    "openai-compatible": {"/v1/models", "/v1/chat/completions"},
}
"""What each dialect is asked for, all told."""


@pytest.fixture
def other() -> Iterator[Recorder]:
    """The server of `[server]`, which nothing is meant for."""
    with recorder() as server:
        yield server


@pytest.fixture
def run(
    ktjob_command: list[str], ktjob_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Commands; a worker asks early whether its server is alive."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    monkeypatch.setenv("KTJOB_CONSTANTS", "ktclient.request.liveness.ASK_SECONDS=0.2")
    return commands.runner(ktjob_command, tmp_path)


def configure(folder: Path, default: Recorder, own: str) -> None:
    """Two servers with a key each: the default one, and `own`."""
    folder.mkdir()
    (folder / "default.key").write_text(OTHERS)
    (folder / "own.key").write_text(OWN)
    (folder / "config.toml").write_text(
        f'[server]\nurl = "{default.url}"\napi_key_file = "default.key"\n'
        f'[servers.own]\nurl = "{own}"\napi_key_file = "own.key"\n'
    )


def ask_everything(run: Run, folder: Path, server: Recorder) -> None:
    """Commands and jobs that make ktjob ask all that it ever asks of a server."""
    (folder / "short.txt").write_text("A short story. " * 20)
    (folder / "long.txt").write_text("A long story, told slowly.\n\n" * 800)
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello."}]}
    (folder / "batch.jsonl").write_text(json.dumps({**line, "body": body}) + "\n")
    to = ("--server", "own")
    assert run("check", "short.txt", *to).returncode == 0
    run("check", "long.txt", *to)  # beyond the window: the parts are counted
    done = run("submit", "short.txt", *to, "--max-tokens", "10", "--wait")
    assert done.stdout == "Well.\n", done.stderr
    batch = run("batch", "batch.jsonl", *to, "-o", "out.jsonl", "--max-tokens", "10", "--wait")
    assert batch.returncode == 0, batch.stderr
    server.let_go.clear()
    job = Job(run("submit", "short.txt", *to, "--max-tokens", "10").stdout.strip())
    server.wait_for("/v1/chat/completions")
    asked = len(server.asked)
    pulses = {"sglang": "/model_info", "llama.cpp": "/health", "vllm": "/version"}
    pulse = pulses.get(server.dialect, "/v1/models")
    server.wait_for(pulse, after=asked)
    run("cancel", job.id)
    job.wait()
    server.let_go.set()
    run("config", "check")
    run("doctor")


@pytest.mark.promise
@pytest.mark.parametrize("dialect", SEEN)
def test_every_request_brings_its_own_servers_key(
    run: Run,
    tmp_path: Path,
    dialect: str,
    other: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also with a key in the environment. `[server]` is asked only by the two commands that check
    all servers, with the key that is meant for it."""
    monkeypatch.setenv("KTJOB_API_KEY", VARIABLE)
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):  # of openai's library
        monkeypatch.setenv(f"OPENAI_{name}", FOREIGN)
    extra = f"X-Extra: {FOREIGN}\nAuthorization: Bearer {FOREIGN}"
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", extra)
    with recorder(dialect) as server:
        configure(tmp_path / "config", other, server.url)
        ask_everything(run, tmp_path, server)
        assert {one.path for one in server.asked} >= SEEN[dialect]
        assert {(one.path, one.key) for one in server.asked} == {
            (path, f"Bearer {OWN}") for path in {one.path for one in server.asked}
        }
        assert {one.key for one in other.asked} == {f"Bearer {VARIABLE}"}
        assert {one.path for one in other.asked} <= {"/v1/models", "/server_info", "/v1/loads"}
        said = json.dumps([one.headers for one in server.asked])
        assert OTHERS not in said and VARIABLE not in said and FOREIGN not in said
    kept = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*.db*"))
    assert OWN.encode() not in kept and VARIABLE.encode() not in kept


def test_headers_that_no_request_can_carry_end_no_runner(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not ASCII, or with a carriage return of Windows: openai's library takes them from the
    environment, and ktjob's client does not."""
    (tmp_path / "a.txt").write_text("A story.")
    for name in ("ORG_ID", "PROJECT_ID", "CUSTOM_HEADERS"):
        monkeypatch.setenv(f"OPENAI_{name}", "X-Team: t\u00e9am\r\nX-Other: \u00f6")
    with recorder("sglang") as server:
        done = run("submit", "a.txt", "--server", server.url, "--wait")
        assert done.returncode == 0, done.stderr
        assert "x-team" not in {name.lower() for one in server.asked for name in one.headers}


def test_all_that_is_listed_is_seen() -> None:
    """Each path of the list is asked for above, or by ktserver below; so is each by which a
    dialect looks whether its server lives."""
    listed = {path for places in requests_made.PLACES.values() for path in places.values()}
    paths = {one for one in listed if not one.startswith(requests_made.NONE)}
    pulses = {dialect.pulse_path for dialect in queries._DIALECTS.values()}
    assert paths | pulses == set().union(*SEEN.values())


def test_ktserver_asks_each_server_with_its_own_key(
    state: StateDir, tmp_path: Path, other: Recorder
) -> None:
    """`ktserver status` asks a server that it started on this machine; the default server of the
    configuration is another one."""
    log = tmp_path / "log"
    log.touch()
    with recorder() as server, recorder() as nameless:
        configure(tmp_path / "config", other, server.url)
        stand_in = subprocess.Popen(["sleep", "600"])
        with (
            own_server.recorded(state.servers / "own", server.url, log, stand_in.pid),
            own_server.recorded(state.servers / "nameless", nameless.url, log, stand_in.pid),
        ):
            shown = subprocess.run([*KTSERVER, "status"], capture_output=True, text=True)
        stand_in.kill()
        stand_in.wait()
        assert shown.returncode == 0, shown.stderr
        expected = {"/model_info", "/v1/models", "/v1/loads", "/metrics"}
        asked = {(one.path, one.key) for one in server.asked}
        assert asked == {(path, f"Bearer {OWN}") for path in expected}
        assert {one.path for one in nameless.asked} == expected
        assert {one.key for one in nameless.asked} == {None}
        assert other.asked == []


def test_ktserver_up_uses_the_key_of_the_server_that_it_starts(
    state: StateDir, tmp_path: Path, other: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For its first answers and the warm-up: the server refuses every other key. It is in a
    variable, which neither the server nor its supervisor gets."""
    lab = Lab(state)
    plan = lab.plan("--require-key", OWN)
    configure(tmp_path / "config", other, plan.url)
    file = tmp_path / "config" / "config.toml"
    text = file.read_text()
    file.write_text(text.replace('api_key_file = "own.key"', 'api_key_env = "MY_VARIABLE"'))
    monkeypatch.setenv("MY_VARIABLE", OWN)
    up = lab.up(plan)
    assert up.returncode == 0 and "warmed up with" in up.stderr, up.stderr
    note = lab.note()
    assert note.server is not None
    for one in (note.server, note.keeper):
        assert b"MY_VARIABLE" not in Path(f"/proc/{one.pid}/environ").read_bytes()
    assert other.asked == []
    lab.run("down")


def test_a_runner_brings_no_server_the_key_of_another_ones_submit(run: Run, tmp_path: Path) -> None:
    """The command that started the runner had KTJOB_API_KEY, for its own server."""
    (tmp_path / "a.txt").write_text("A story.")
    with recorder() as first, recorder() as second:
        os.environ["KTJOB_API_KEY"] = VARIABLE
        try:
            one = run("submit", "a.txt", "--server", first.url, "--max-tokens", "10", "--wait")
        finally:
            del os.environ["KTJOB_API_KEY"]
        two = run("submit", "a.txt", "--server", second.url, "--max-tokens", "10", "--wait")
        assert (one.stdout, two.stdout) == ("Well.\n", "Well.\n"), two.stderr
        assert {one.key for one in first.asked} == {f"Bearer {VARIABLE}"}
        assert {one.key for one in second.asked} == {None}


def test_a_redirect_gets_neither_key_nor_document(
    run: Run, tmp_path: Path, other: Recorder
) -> None:
    """Of a short query and of the long request; the message hides what the target repeats."""
    (tmp_path / "a.txt").write_text("A story.")
    with recorder() as server:
        configure(tmp_path / "config", other, server.url)
        to = f"{other.url}/v1/chat/completions?key={OWN}"
        server.refusal = (307, {"location": to}, b"")
        done = run("submit", "a.txt", "--server", "own", "--max-tokens", "10", "--wait")
        assert done.returncode != 0 and "redirects to" in done.stderr
        assert OWN not in done.stderr and "key=***" in done.stderr
        assert other.asked == []


def test_a_proxy_gets_no_key(
    run: Run, tmp_path: Path, other: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the name of the server behind it; a server on this machine is asked directly."""
    (tmp_path / "a.txt").write_text("A story.")
    with recorder() as proxy, recorder() as server:
        configure(tmp_path / "config", other, "https://gpu.example")
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        done = run("submit", "a.txt", "--server", "own", "--max-tokens", "10", "--wait")
        assert done.returncode != 0 and "proxy" in done.stderr
        assert {(one.path, one.key) for one in proxy.asked} == {("gpu.example:443", None)}
        asked = len(proxy.asked)
        here = server.url.replace("127.0.0.1", "127.1")
        near = run("submit", "a.txt", "--server", here, "--max-tokens", "10", "--wait")
        assert near.stdout == "Well.\n", near.stderr
        assert len(proxy.asked) == asked
