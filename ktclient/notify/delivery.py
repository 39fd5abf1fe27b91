"""Notify people and programs of a job's end: the work of `ktclient.work.tell`.

Kinds of a notification, as stored: "notify", whose target is a name of the configuration file
(addresses contain passwords, which never reach the store), and "command", whose target is JSON:
the command and the folder in which submit was called.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs import clock
from jobs.errors import CannotTellYet
from jobs.store.outbox import Notification
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.errors import BadInput
from ktclient.notify import channels, command
from ktclient.notify.foreign_text import harmless
from ktclient.records import export, snapshot, tally
from ktclient.records.snapshot import Snapshot
from ktclient.wording import spoken

NOTIFY = "notify"
COMMAND = "command"
PATIENCE_SECONDS = 86_400.0
"""How long settings that cannot be used postpone a notification, without using up its tries."""
_TITLE, _LABEL, _SERVER, _MESSAGE = 80, 40, 200, 600
"""Characters. All of a message is shorter than what services accept: a title of 250, a text of 2000
characters (Discord), or 4096 bytes (ntfy)."""
MOST_BYTES = 100_000
"""The kernel limits a single argument to 128 KiB (MAX_ARG_STRLEN)."""


@dataclass(frozen=True)
class Message:
    """For people: a title, and what to do. It contains nothing of the document or the answer, and
    no service acts on what others wrote into it."""

    title: str
    body: str


def parse_targets(
    notify: Sequence[str], on_done: str | None, settings: config.Settings
) -> tuple[tuple[str, str], ...]:
    """The notifications to store: those named, those for every job, and a command. Raises
    `BadInput` for a name that is not configured, or cannot be used."""
    names = list(dict.fromkeys([*notify, *channels.always(settings)]))
    if names:
        channels.require(names, settings)
    found = [(NOTIFY, name) for name in names]
    if on_done is not None:
        found.append((COMMAND, _command(on_done)))
    return tuple(found)


def _command(text: str) -> str:
    if not text.strip():
        raise BadInput("the command of --on-done is empty")
    if "\0" in text or len(os.fsencode(text)) > MOST_BYTES:
        raise BadInput(
            f"the command of --on-done may have at most {MOST_BYTES:,} bytes, and no NUL"
        )
    try:
        folder = str(Path.cwd())
    except OSError:  # it was removed
        folder = str(Path.home())
    return json.dumps({"command": text, "folder": folder})


def deliver(state: StateDir, telling: Notification) -> None:
    """Deliver one notification. Raises `NotTold` with the reason if that fails, `CannotTellYet` if
    the settings for it cannot be used now."""
    with Store.open_existing(state) as store:
        now, text = _subject(store, telling)
    if telling.kind == NOTIFY:
        _notify(telling.target, now)
    elif telling.kind == COMMAND:
        wish = json.loads(telling.target)
        file = state.told(telling.job_id, telling.seq)
        command.run(wish["command"], Path(wish["folder"]), now, text, file)
    else:
        raise BadInput(
            f"this job was submitted by a newer ktjob (notification kind {telling.kind!r} is "
            "unknown here); upgrade ktjob"
        )


def _subject(store: Store, telling: Notification) -> tuple[Snapshot, str]:
    """The job that a notification is about, and its answer; or a whole group as one, and its
    answers as Markdown."""
    group = None if telling.group_id is None else store.group_in_numbers(telling.group_id)
    if group is None:
        job = store.job(telling.job_id)
        return snapshot.of_job(store, job), snapshot.answer(store, job)
    first = snapshot.of_job(store, store.job(group.first))
    return tally.in_one(group, first), export.markdown(store, store.group(group.id))


def _notify(name: str, job: Snapshot) -> None:
    """A mistake in [notify] is waited for, for a day, like a server that is away; one in another
    table is none of ours."""
    words, is_bad = message(job), job.state != "SUCCEEDED"
    try:
        settings = config.load(needed=("notify",))
        channels.notify(name, words.title, words.body, settings, is_bad=is_bad)
    except BadInput as error:
        if clock.seconds_between(job.finished_at or clock.now(), clock.now()) > PATIENCE_SECONDS:
            raise
        raise CannotTellYet(str(error)) from error


def message(job: Snapshot) -> Message:
    """The notification text for people."""
    title, label = harmless(job.title, _TITLE), harmless(job.label or "", _LABEL)
    about = f" [{label}]" if label else ""
    server = harmless(job.server, _SERVER)
    lines = [f"job {job.id}, {job.task}, on {server}, after {spoken(job.seconds())}"]
    read, written = job.figures.get("prompt_tokens"), job.figures.get("completion_tokens")
    if isinstance(read, int) and isinstance(written, int):
        lines.append(f"{read:,} prompt tokens, {written:,} answer tokens")
    if job.message:
        lines.append(f"cause: {harmless(job.message, _MESSAGE)} [{job.cause}]")
    verb = "result" if job.state == "SUCCEEDED" else "show"
    lines.append(f"ktjob {verb} {job.id}")
    return Message(f"ktjob: {title}{about} {job.state.lower()}", "\n".join(lines))
