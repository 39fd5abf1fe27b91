"""Export a job's texts as files, for programs that need a path; the originals are in the
database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs import draft, private_folder
from jobs.model import Job
from jobs.store import diagnosis
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.records import kinds, snapshot


@dataclass(frozen=True)
class JobFiles:
    """A job's texts; the answer is empty if nothing has arrived."""

    document: str
    answer: str


def markdown(store: Store, jobs: Sequence[Job]) -> str:
    """The answers of several jobs, each under a heading: the document and what was asked."""
    found = []
    for job, now in zip(jobs, snapshot.of_jobs(store, jobs), strict=True):
        asked = " ".join(f"{now.title}: {'; '.join(now.questions) or now.task}".split())
        why = "" if now.state == "SUCCEEDED" else f"\n\n*{now.state.lower()}: {now.message}*"
        found.append(f"## {asked}{why}\n\n{snapshot.answer(store, job)}".strip())
    return "\n\n".join(found)


def collect(store: Store, job: Job) -> JobFiles:
    """The texts of a job. Raises `StoreDamaged` if the document is missing."""
    origin = kinds.imported(job.spec)
    if origin is not None and job.document != origin["sha256"]:
        document = f"(job {job.id} was imported without its document, SHA-256 {origin['sha256']})\n"
        return JobFiles(document, snapshot.answer(store, job))
    document = store.document(job.document).decode("utf-8", "replace")
    return JobFiles(document, snapshot.answer(store, job))


def copy(state: StateDir, job_id: str, name: str, text: str) -> Path:
    """Write a text to a file that only its owner can read, atomically, replacing an earlier copy.
    Returns its path. Raises `StoreUnusable`."""
    path = state.opened / f"{job_id}.{name}.txt"
    try:
        private_folder.make(state.opened)
        draft.write(path, text)
    except OSError as error:
        raise diagnosis.of_system(error, path) from error
    return path
