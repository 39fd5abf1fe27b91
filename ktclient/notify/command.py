"""Run a command when a job has ended, with the job's data in its environment."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from jobs import child_environment, draft, private_folder
from jobs.errors import NotTold
from ktclient.config import settings as config
from ktclient.notify import foreign_text
from ktclient.records.snapshot import Snapshot

_LONGEST = 8000
"""Characters of a value; the kernel limits the number of bytes."""


def run(command: str, folder: Path, job: Snapshot, text: str, file: Path) -> None:
    """Run it with sh, in `folder` (in the home folder if that is missing), with its output in the
    job's log. The answer is in `file` while it runs. Raises `NotTold` unless it exits with 0."""
    _write(file, text)
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=folder if folder.is_dir() else Path.home(),
            env=_environment(job, file),
            stdin=subprocess.DEVNULL,
        )
    finally:
        with contextlib.suppress(OSError):
            file.unlink()
    if done.returncode:
        raise NotTold(f"the command ended with exit status {done.returncode}")


def _environment(job: Snapshot, file: Path) -> dict[str, str]:
    config.learn_variables()
    return {**child_environment.inherited(), **_carried_fields(job), "KTJOB_RESULT": str(file)}


def _carried_fields(job: Snapshot) -> dict[str, str]:
    fields = {
        "KTJOB_ID": job.id,
        "KTJOB_STATE": job.state,
        "KTJOB_CAUSE": job.cause or "",
        "KTJOB_MESSAGE": foreign_text.line(job.message or ""),
        "KTJOB_TITLE": foreign_text.line(job.title),
        "KTJOB_LABEL": foreign_text.line(job.label or ""),
    }
    # An environment must not contain NUL or surrogates.
    return {name: _carried(value) for name, value in fields.items()}


def _carried(value: str) -> str:
    return value[:_LONGEST].replace("\0", "").encode(errors="replace").decode()


def _write(file: Path, text: str) -> None:
    private_folder.make(file.parent)
    prefix = draft.prefix_of(file)
    draft.write(file, text.encode(errors="replace"), is_synced=False, prefix=prefix)
