"""Ended jobs in a store, and their records, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.model import Capacity, Job, NewJob, Outcome, Piece
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.exports.record import DocumentOf, Exported
from ktclient.prompts.tasks import Kind, Task
from ktclient.submission.spec import JobSpec

SERVER = "http://127.0.0.1:9"
ANSWER = "It rained."
FIGURES: dict[str, object] = {
    "model": "DeepSeek-V4-Flash",
    "prompt_tokens": 1200,
    "completion_tokens": 34,
    "first_token_seconds": 2.5,
    "finish_reason": "stop",
}


def put(store: Store, *questions: str, document: str = "A story.", **more: object) -> list[Job]:
    """A group of queued jobs, one for each question."""
    new = [
        NewJob(
            SERVER,
            JobSpec(Task(Kind.ASK, question), SERVER, None, 100, 60.0).to_json(),
            document.encode(),
            "a.txt",
            **more,  # type: ignore[arg-type]
        )
        for question in questions
    ]
    return store.submit_all(new, Capacity(slots=9), ())


def end(
    store: Store,
    job: Job,
    pieces: Sequence[tuple[str, str]] = (("answer", ANSWER),),
    outcome: Outcome = Outcome.SUCCEEDED,
    cause: str | None = None,
    message: str | None = None,
) -> Job:
    """Run a queued job to its end, with this output."""
    number = store.claim(job.id, identity.mine()).number
    store.set_figures(job.id, number, FIGURES)
    store.append(
        job.id, number, [Piece(at, channel, text) for at, (channel, text) in enumerate(pieces, 1)]
    )
    store.finish(job.id, number, outcome, cause, message)
    return store.job(job.id)


def ended(state: StateDir, *questions: str, **more: object) -> list[Job]:
    """Jobs that have succeeded."""
    with Store.open(state) as store:
        return [end(store, job) for job in put(store, *questions, **more)]  # type: ignore[arg-type]


RECORD = Exported(
    id="k7m2p9qx",
    state="SUCCEEDED",
    task="ask",
    instruction="Who came?",
    questions=(),
    answer=ANSWER,
    thoughts=None,
    document=DocumentOf("a.txt", "0" * 64, 8, None),
    model="DeepSeek-V4-Flash",
    server=SERVER,
    label=None,
    group=None,
    cause=None,
    message=None,
    created_at="2026-11-30T08:00:00.000Z",
    started_at="2026-11-30T08:00:01.000Z",
    finished_at="2026-11-30T08:00:04.500Z",
    attempt=1,
    max_attempts=2,
    max_tokens=100,
    timeout=60.0,
    figures=FIGURES,
    counted=None,
    thinking=None,
    settings={},
    answer_schema=None,
    remarks=(),
    split=None,
    parts=(),
    imported=None,
)
"""One record of an export."""


def record(*, name: str = "a.txt", text: str | None = None, **fields: object) -> Exported:
    """`RECORD` with other fields; `name` and `text` are those of its document."""
    document = replace(RECORD.document, name=name, text=text)
    return replace(RECORD, document=document, **fields)  # type: ignore[arg-type]
