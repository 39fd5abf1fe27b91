"""What a server repeats of its key is `***` wherever ktjob keeps or shows it."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from support import commands
from support.commands import Run
from support.recording import Asked, Recorder, recorder

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job

Until = Callable[..., object]
KEY = "made-up+key/of=the-test-12345"
ENCODED = base64.b64encode(f"user:{KEY}".encode()).decode()
SPELLINGS = (KEY, quote(KEY, safe=""), ENCODED, ENCODED[8:-4])
JSON, TEXT = {"content-type": "application/json"}, {"content-type": "text/plain"}
EVENTS = {"content-type": "text/event-stream"}


@pytest.fixture
def run(ktjob_command: list[str], ktjob_home: Path, tmp_path: Path) -> Run:
    (tmp_path / "a.txt").write_text("A story.")
    return commands.runner(ktjob_command, tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Recorder]:
    """A server with a key, and a webhook at the same place."""
    with recorder() as server:
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "key").write_text(KEY)
        hook = f"json://127.0.0.1:{server.server_port}/hook"
        (tmp_path / "config" / "config.toml").write_text(
            f'[server]\nurl = "{server.url}"\napi_key_file = "key"\n[notify]\nhook = "{hook}"\n'
        )
        server.refusals["/hook"] = (200, TEXT, b"")
        yield server


def error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "bad"}}).encode()


def chunk(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


REPEATED = f"key {KEY}, in a URL {SPELLINGS[1]}, as Basic {ENCODED}, Bearer {KEY}"
ECHOES = {
    "400": (400, JSON, error(REPEATED)),
    "401": (401, JSON, error(REPEATED)),
    "403, plain": (403, TEXT, REPEATED.encode()),
    "500": (500, JSON, error(REPEATED)),
    "a page": (502, {"content-type": "text/html"}, f"<html><title>{REPEATED}</title>".encode()),
    "429": (429, {**JSON, "retry-after": KEY}, error(REPEATED)),
    "a redirect": (302, {"location": f"http://u:{KEY}@host/?token={KEY}"}, b""),
    "where the text is cut": (400, JSON, error("x" * 590 + KEY)),
    "with invisible characters": (400, JSON, error("\u200b".join(KEY))),
    "an error in the stream": (200, EVENTS, b"data: " + error(REPEATED) + b"\n\n"),
    "an error instead of a stream": (200, JSON, error(REPEATED)),
    "another kind": (200, {"content-type": f"text/{KEY}"}, REPEATED.encode()),
    "no chunk": (200, EVENTS, chunk(choices=REPEATED)),
    "the reason of the end": (
        200,
        EVENTS,
        chunk(choices=[{"delta": {"content": "Well."}, "finish_reason": REPEATED}]),
    ),
}


def shown(run: Run, job: str) -> str:
    """All that ktjob shows of a job."""
    done = [
        run(*words)
        for words in (
            ("show", job),
            ("show", job, "--json"),
            ("events", job),
            ("logs", job),
            ("result", job),
        )
    ]
    return "\n".join(part for one in done for part in (one.stdout, one.stderr))


def kept(run: Run, folder: Path) -> str:
    """All that it keeps, and shows of all jobs."""
    said = "\n".join(run(*words).stdout for words in (("status", "--json"), ("list", "--json")))
    files = [path for path in (folder / "state").rglob("*") if path.is_file()]
    return "\n".join([said, *(path.read_bytes().decode("latin-1") for path in files)])


def test_a_key_that_the_server_repeats_is_kept_nowhere(
    run: Run, tmp_path: Path, state: StateDir, server: Recorder, until: Until
) -> None:
    """Store, logs, messages, JSON, the notification and the environment of --on-done. One job for
    each way, one after the other."""
    for number, (case, refusal) in enumerate(ECHOES.items(), 1):
        server.refusal = refusal
        heard = tmp_path / f"heard{number}"
        done = run(
            *("submit", "a.txt", "--max-tokens", "10", "--max-attempts", "1"),
            *("--on-done", f"env > {heard}.new; mv {heard}.new {heard}", "--notify", "hook"),
        )
        job = Job(done.stdout.strip())
        until(lambda job=job: "***" in stored(state, job))
        job.cancel()  # a server that is busy, or away, is asked again for minutes
        job.wait()
        until(heard.exists)
        until(lambda job=job: any(job.id in one.body for one in hooks(server)))
        told = done.stderr + shown(run, job.id) + heard.read_text()
        assert [text for text in SPELLINGS if text in told] == [], case
        assert "***" in told, case
    everything = kept(run, tmp_path) + "".join(one.body for one in hooks(server))
    assert [text for text in SPELLINGS if text in everything] == []
    assert {one.key for one in hooks(server)} == {None}


def stored(state: StateDir, job: Job) -> str:
    """What the store has of what the server said."""
    with Store.open(state) as store:
        return f"{job.status()} {store.job(job.id)} {store.events(job.id)}"


def hooks(server: Recorder) -> list[Asked]:
    return [one for one in server.asked if one.path == "/hook"]


@pytest.mark.promise
def test_a_key_in_an_answer_is_hidden_and_what_looks_like_one_is_not(
    run: Run, tmp_path: Path, server: Recorder
) -> None:
    """The server's own key, in any spelling and cut at any place; all else is the model's."""
    other = "sk-abcdefghijklmnop1234, http://me:pw@host, Bearer abcdef123456"
    pieces = ["Yours: ", *KEY, ". In a URL ", quote(KEY, safe=""), f". Another: {other} made-up"]
    server.answer = pieces
    done = run("submit", "a.txt", "--max-tokens", "10", "--wait")
    expected = f"Yours: ***. In a URL ***. Another: {other} made-up\n"
    assert done.stdout == expected, done.stderr
    assert KEY not in shown(run, "last") + kept(run, tmp_path)


def test_a_server_that_shows_the_key_before_the_request(
    run: Run, tmp_path: Path, server: Recorder
) -> None:
    """In what it lists, and in how it refuses to list."""
    server.refusals["/v1/models"] = (401, JSON, error(REPEATED))
    for words in (("submit", "a.txt"), ("check", "a.txt"), ("config", "check"), ("doctor",)):
        done = run(*words)
        assert KEY not in done.stdout + done.stderr
    assert "***" in run("submit", "a.txt").stderr


SHOWING = (("config", "show"), ("config", "show", "--json"), ("install-unit", "--dry-run"))
ASKING = (("config", "check"), ("submit", "a.txt"), ("doctor",), ("status",))


def test_secrets_in_urls_are_shown_nowhere(
    ktjob_command: list[str], ktjob_home: Path, tmp_path: Path
) -> None:
    """Not by `config show` and `install-unit`, not in messages, of the environment and the file.
    Such a URL is used for nothing, so no job stores it."""
    folder = tmp_path / "config"
    folder.mkdir()
    (tmp_path / "a.txt").write_text("A story.")
    urls = [
        f"http://me:{KEY}@host.example",
        f"http://host.example/?key={KEY}",
        f"http://host.example/v1?a=1&api_key={KEY}",
        f"http://host.example/?token={KEY}#x",
        f"me:{KEY}@host.example",
    ]
    for url in urls:
        (folder / "config.toml").write_text(f'[server]\nurl = "{url}"\n')
        both = ({}, {"KTJOB_SERVER": url, "HTTPS_PROXY": url})
        option = ("submit", "a.txt", "--server", url)
        # A name with a password, and a key: all commands. Other places in a URL: one each.
        for environ in both if url in urls[:2] else both[1:]:
            for words in (*SHOWING, *ASKING, option) if url in urls[:2] else (SHOWING[0], option):
                done = subprocess.run(
                    [*ktjob_command, *words],
                    env={**os.environ, **environ},
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                )
                assert KEY not in done.stdout + done.stderr, (url, words)
                assert "Traceback" not in done.stderr
    files = [path for path in ktjob_home.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.promise
def test_no_child_gets_a_key(
    ktjob_command: list[str], ktjob_home: Path, tmp_path: Path, until: Until
) -> None:
    """Editor, pager, ssh, the command of --on-done, the reader of a document, the runner and its
    workers: neither KTJOB_API_KEY nor the variable that `api_key_env` names. Each writes down its
    environment."""
    folder, heard = tmp_path / "config", tmp_path / "heard"
    folder.mkdir()
    heard.mkdir()
    note = "env -0 > {}.new && mv {}.new {}".replace("{}", f"{heard}/$1")
    notes = script(tmp_path / "note", note)
    ssh = script(tmp_path / "ssh", f"{notes} ssh; exit 127")
    editor = script(tmp_path / "editor", f'{notes} editor; echo "# new" >> "$1"')
    reader = script(tmp_path / "python", f'{notes} reader; exec {sys.executable} "$@"')
    (tmp_path / "a.html").write_text("<html><p>A story.</p></html>")
    with recorder() as server:
        (folder / "config.toml").write_text(
            f'[server]\nurl = "{server.url}"\napi_key_env = "MY_VARIABLE"\n'
            f'[hosts.far]\nssh = ["{ssh}"]\n'
        )
        environ = {
            **os.environ,
            "MY_VARIABLE": KEY,
            "KTJOB_API_KEY": f"{KEY}-2",
            "ALSO_THERE": f"x {KEY} x",
            "KEPT": "kept",
            "EDITOR": editor,
            "VISUAL": editor,
        }

        def ktjob(*words: str, python: str | None = None) -> subprocess.CompletedProcess[str]:
            change = f"import sys; sys.executable = {python!r}; " if python else ""
            command = [sys.executable, "-c", f"{change}from ktclient.cli.ktjob import main; main()"]
            return subprocess.run(
                [*command, *words], env=environ, cwd=tmp_path, capture_output=True, text=True
            )

        assert "saved" in ktjob("config", "edit").stderr
        ktjob("--host", "far", "status")
        assert ktjob("check", "a.html", python=reader).returncode == 0
        server.let_go.clear()
        done = ktjob("submit", "a.html", "--max-tokens", "10", "--on-done", f"{notes} on-done")
        assert done.returncode == 0, done.stderr
        server.wait_for("/v1/chat/completions")
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                held = path.read_bytes()
            except OSError:  # it has ended, or is another user's
                continue
            if str(ktjob_home).encode() in held and path.parent.name != str(os.getpid()):
                assert KEY.encode() not in held, (path.parent / "cmdline").read_bytes()
        server.let_go.set()
        Job(done.stdout.strip()).wait()
        until((heard / "on-done").exists)
        assert {one.key for one in server.asked} == {f"Bearer {KEY}-2"}
    found = {path.name: path.read_bytes().split(b"\0") for path in heard.iterdir()}
    assert set(found) == {"ssh", "editor", "reader", "on-done"}
    for name, variables in found.items():
        assert not [one for one in variables if KEY.encode() in one], name
        assert (b"KEPT=kept" in variables) is (name != "reader"), name
    named = {one.partition(b"=")[0].decode() for one in found["reader"]}
    assert named <= {
        *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PWD", "_"),
        "SHLVL",
        "OLDPWD",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "PYTHONUTF8",
        "",
    }
