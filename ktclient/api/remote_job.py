"""Jobs on another machine, from Python. Each step is a `ktjob --host` command in its own process,
which handles everything that a cut connection needs: an idempotency key for each submit, retries,
resuming after a sleep. Jobs of this machine import nothing of this module.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

from jobs import child_environment
from jobs.errors import KtjobError, NoSuchJob
from jobs.model import Outcome
from ktclient import times
from ktclient.api.answer_reader import Heard
from ktclient.api.job import ENDINGS, Changed, Job, changes_of
from ktclient.errors import BadInput, DoesNotFit, HostTrouble, NotFinished
from ktclient.prompts.combined import Part
from ktclient.records.kinds import PartsProgress
from ktclient.records.snapshot import Snapshot
from ktclient.remote import far_values
from server_bundle.errors import NoServer

if TYPE_CHECKING:
    from typing_extensions import Unpack

LOOK_SECONDS = 2.0
"""Seconds between two polls: each opens its own connection."""
_BY_CODE: Mapping[int, type[KtjobError]] = {
    2: BadInput,
    3: NoSuchJob,
    5: NotFinished,
    6: NoServer,
    7: DoesNotFit,
}
"""The exit codes of docs/reference.md that do not say how a job ended."""
_NOT_FINISHED = 5
_FLAGS = ("summarize", "together", "raw")
_WORDS = (
    *("prompt", "template", "max_tokens", "timeout", "model", "server", "max_attempts"),
    *("priority", "encoding", "system", "temperature", "label", "on_done", "split", "effort"),
)

KNOWN = {
    *(
        *_FLAGS,
        *_WORDS,
        "document",
        "text",
        "host",
        "ask",
        "questions",
        "after",
        "notify",
        "variables",
    ),
    *("thinking", "at", "schema"),
}
"""The allowed parameters; others are refused, never silently ignored."""


class RemoteJob(Job):
    """A job on the machine `host`; the same as `Job`, except for `heard`. Every call opens a
    connection, and may raise `HostTrouble`."""

    def __init__(self, job_id: str, host: str) -> None:
        self.host = host
        self.id = job_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {self.host!r})"

    def status(self) -> Snapshot:
        return _snapshot(far_values.json_object(_run(self.host, "status", "--json", "--", self.id)))

    def wait(self, timeout: float | None = None) -> Job:
        times.deadline(timeout)  # refuse it here, not only there
        bound = [] if timeout is None else [f"--timeout={timeout}"]
        done = _ran(self.host, "wait", *bound, "--", self.id)
        if done.returncode == _NOT_FINISHED:
            raise NotFinished(f"job {self.id} on {self.host} has not finished; it is still running")
        if not self.status().is_finished:  # the exit code was not about the job's end
            _refuse(done.returncode, done.stderr)
        return self

    def watch(self, timeout: float | None = None) -> Iterator[Snapshot]:
        give_up = times.deadline(timeout)
        while True:
            now = self.status()
            yield now
            if now.is_finished:
                return
            if give_up is not None and time.monotonic() >= give_up:
                raise NotFinished(
                    f"job {self.id} on {self.host} has not finished; it is still running"
                )
            time.sleep(LOOK_SECONDS)

    def result(self, timeout: float | None = None) -> str:
        self.wait(timeout)
        return _text(self._record())

    def thoughts(self, timeout: float | None = None) -> str:
        self.wait(timeout)
        found = self._record().get("thoughts")
        return found if isinstance(found, str) else ""

    def answers(self, timeout: float | None = None) -> list[Part]:
        self.wait(timeout)
        record = self._record()
        text, questions = _text(record), record.get("questions")
        parts = record.get("answers")
        if isinstance(parts, list):
            return [_part(one) for one in parts]
        asked = questions if isinstance(questions, list) else []
        return [Part(str(question), text) for question in asked[:1]]

    def ask(self, question: str, *, thinking: bool | None = None, effort: str | None = None) -> Job:
        how = [] if thinking is None else [f"--thinking={'on' if thinking else 'off'}"]
        how += [] if effort is None else [f"--effort={effort}"]
        said = _run(self.host, "ask", *how, "--", self.id, question)
        return RemoteJob(far_values.ids(said)[0], self.host)

    def hold(self) -> Snapshot:
        _run(self.host, "hold", "--", self.id)
        return self.status()

    def release(self) -> Snapshot:
        _run(self.host, "release", "--", self.id)
        return self.status()

    def prioritize(self, priority: int | None = None) -> Snapshot:
        how = "--first" if priority is None else f"--to={priority}"
        _run(self.host, "priority", how, "--", self.id)
        return self.status()

    def edit(self, **changes: Unpack[Changed]) -> Snapshot:
        _run(self.host, "edit", *_change_words(changes), "--", self.id)
        return self.status()

    def rerun(self, **changes: Unpack[Changed]) -> Job:
        said = _run(self.host, "rerun", *_change_words(changes), "--", self.id)
        return RemoteJob(far_values.ids(said)[0], self.host)

    def cancel(self) -> Snapshot:
        """Like `Job.cancel`; returns after the job has ended, or after a minute."""
        _run(self.host, "cancel", "--", self.id)
        return self.status()

    def stream(self) -> Iterator[str]:
        command = _command(self.host, "follow", "--", self.id)
        text = _Text()
        with subprocess.Popen(
            command,
            env=child_environment.inherited(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            try:
                while data := os.read(process.stdout.fileno(), 65536):
                    if piece := text.add(data):
                        yield piece
            finally:
                process.terminate()  # the job itself is not affected
        self.result()

    def heard(self, *, from_now: bool = False) -> Iterator[tuple[Snapshot, str]]:
        raise BadInput("text and status together are not available for jobs on another machine")

    def followed(self, *, from_now: bool = False) -> Iterator[Heard]:
        raise BadInput("text and status together are not available for jobs on another machine")

    async def awaited(self, timeout: float | None = None) -> str:
        async for _ in self.awatch(timeout):
            continue
        return _text(
            far_values.json_object(await _heard(self.host, "result", "--json", "--", self.id))
        )

    async def awatch(self, timeout: float | None = None) -> AsyncIterator[Snapshot]:
        give_up = times.deadline(timeout)
        while True:
            now = _snapshot(
                far_values.json_object(await _heard(self.host, "status", "--json", "--", self.id))
            )
            yield now
            if now.is_finished:
                return
            if give_up is not None and time.monotonic() >= give_up:
                raise NotFinished(
                    f"job {self.id} on {self.host} has not finished; it is still running"
                )
            await asyncio.sleep(LOOK_SECONDS)

    async def astream(self) -> AsyncIterator[str]:
        command = _command(self.host, "follow", "--", self.id)
        nothing, pipe, text = subprocess.DEVNULL, subprocess.PIPE, _Text()
        process = await asyncio.create_subprocess_exec(
            *command,
            env=child_environment.inherited(),
            stdin=nothing,
            stdout=pipe,
            stderr=nothing,
        )
        assert process.stdout is not None
        try:
            while data := await process.stdout.read(65536):
                if piece := text.add(data):
                    yield piece
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
        await self.awaited()

    def _record(self) -> dict[str, object]:
        done = _ran(self.host, "result", "--json", "--", self.id)
        return (
            far_values.json_object(done.stdout)
            if done.stdout
            else _refuse(done.returncode, done.stderr)
        )


FarJob = RemoteJob
"""The name that it had first; it stays."""


class _Text:
    """The output of `follow`, without the line end that it adds."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def add(self, data: bytes) -> str:
        text = self._held + self._decoder.decode(data)
        self._held = "\n" if text.endswith("\n") else ""
        return text.removesuffix("\n")


def submit(
    host: str, document: str | os.PathLike[str], given: Mapping[str, object]
) -> Sequence[Job]:
    """Submit a document with all that was `given` to the machine. Raises the error that the
    command's exit code stands for, and `HostTrouble`. Nothing is stored then, or the message says
    that it may have been."""
    with tempfile.TemporaryDirectory(prefix="ktjob-") as folder:
        words = _options(given, folder)
        name = "-" if isinstance(document, str) else os.fspath(document)
        text = document if isinstance(document, str) else None
        done = _ran(host, "submit", "--quiet", *words, "--", name, text=text)
    if done.returncode:
        _refuse(done.returncode, done.stderr)
    return [RemoteJob(job_id, host) for job_id in far_values.ids(done.stdout)]


def _options(given: Mapping[str, object], folder: str) -> list[str]:
    if unknown := sorted(given.keys() - KNOWN):
        raise BadInput(f"{unknown[0]} cannot be used together with host")
    questions = given.get("questions")
    is_alone = isinstance(questions, Sequence) and len(questions) < 2
    flags = [name for name in _FLAGS if given.get(name) and not (name == "together" and is_alone)]
    words = [f"--{name}" for name in flags]
    for name in _WORDS:
        if given.get(name) is not None:
            words.append(f"--{name.replace('_', '-')}={given[name]}")
    for name in ("ask", "questions"):
        value = given.get(name)
        asked = [value] if isinstance(value, str) else value or ()
        assert isinstance(asked, Sequence)
        words += [f"--ask={one}" for one in asked]
    after = given.get("after") or ()
    assert isinstance(after, Sequence)
    words += [f"--after={one.id if isinstance(one, Job) else one}" for one in after]
    notify = given.get("notify") or ()
    assert isinstance(notify, Sequence)
    words += [f"--notify={one}" for one in notify]
    variables = given.get("variables") or {}
    assert isinstance(variables, Mapping)
    words += [f"--var={name}={value}" for name, value in variables.items()]
    if given.get("thinking") is not None:
        words.append(f"--thinking={'on' if given['thinking'] else 'off'}")
    if (at := given.get("at")) is not None:
        words.append(f"--at={at.astimezone().isoformat() if isinstance(at, datetime) else at}")
    if (schema := given.get("schema")) is not None:
        path = os.path.join(folder, "schema.json")
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(schema, file)
        words.append(f"--schema={path}")
    return words


def _change_words(given: Changed) -> list[str]:
    changes_of(given)  # refuse here what is refused there
    words = []
    for name, value in given.items():
        said = value.astimezone().isoformat() if isinstance(value, datetime) else value
        said = {True: "on", False: "off"}[bool(value)] if name == "thinking" else said
        words.append(f"--{name.replace('_', '-')}={said}")
    return words


def _command(host: str, *words: str) -> list[str]:
    if not host or any("\0" in word for word in words):
        raise BadInput(
            "the host name must not be empty, and no argument may contain a NUL character"
        )
    return [sys.executable, "-m", "ktclient", f"--host={host}", *words]


def _ran(host: str, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(host, *words),
        env=child_environment.inherited(),
        input="" if text is None else text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )


def _run(host: str, *words: str) -> str:
    done = _ran(host, *words)
    if done.returncode:
        _refuse(done.returncode, done.stderr)
    return done.stdout


async def _heard(host: str, *words: str) -> str:
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *_command(host, *words),
        env=child_environment.inherited(),
        stdin=nothing,
        stdout=pipe,
        stderr=pipe,
    )
    try:
        out, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if not out:
        _refuse(process.returncode or 1, said.decode(errors="replace"))
    return out.decode(errors="replace")


def _refuse(code: int, said: str) -> NoReturn:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = (lines or [f"ktjob exited with code {code}"])[-1].removeprefix("ktjob: ")
    raise _BY_CODE.get(code, HostTrouble)(words)


def _snapshot(record: Mapping[str, object]) -> Snapshot:
    return far_values.record_of(Snapshot, record, {"PartsProgress": PartsProgress})


def _part(given: object) -> Part:
    found = given if isinstance(given, dict) else {}
    question, answer = found.get("question"), found.get("answer")
    if not isinstance(question, str) or not (answer is None or isinstance(answer, str)):
        raise HostTrouble("the reply has no answers; check that ktjob there is as new as this one")
    return Part(question, answer)


def _text(record: Mapping[str, object]) -> str:
    """The answer's text. Raises `JobFailed`, `JobCancelled`, `JobLost` and `NotFinished`."""
    text, state = str(record.get("text") or ""), str(record.get("state"))
    if state == Outcome.SUCCEEDED.value:
        return text
    if state not in [outcome.value for outcome in ENDINGS]:
        raise NotFinished(f"job {record.get('id')} has not finished")
    said = f"job {record.get('id')} {state.lower()}: {record.get('message')}"
    raise ENDINGS[Outcome(state)](said, text)
