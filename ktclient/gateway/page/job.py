"""One job as the page shows it: what `ktjob show` says, and its output as it is written."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.model import Attempt, Job, Status
from jobs.store.http.store import HttpStore
from ktclient.answers.divider import Divider
from ktclient.answers.stretches import Kind
from ktclient.answers.thoughts import Divided
from ktclient.prompts.tasks import Kind as TaskKind
from ktclient.records import kinds, next_steps, snapshot, thinking
from ktclient.records.snapshot import Snapshot

Record = dict[str, object]
MOST_SHOWN = 1_000_000
"""Characters of an answer that are sent to a page; the whole can be downloaded."""
_NO_DOCUMENT = (TaskKind.REQUEST.value, TaskKind.BATCH.value)


def details(store: HttpStore, job: Job, *, sees_all: bool = True) -> Record:
    """Everything about a job except its output. `sees_all`: whether for somebody who sees all
    jobs."""
    now = snapshot.of_job(store, job)
    spec = json.loads(job.spec)
    attempts = store.attempts(job.id)
    head = store.heads([job.id]).get(job.id)
    has_text = head is not None and head.pieces > 0
    is_own = next_steps.is_own_server(store.state, now)
    steps = next_steps.steps(now, has_text=has_text, is_own_server=is_own)
    return {
        **now.to_dict(),
        "instruction": str(spec["task"].get("text", "")),
        "remarks": [str(one) for one in spec["task"].get("remarks", [])],
        "priority": job.priority,
        "reserved_tokens": None if job.pool == kinds.POOL else job.weight,
        "attempts": [_attempt(one) for one in attempts],
        "parts": _parts(store, job),
        "next": [asdict(one) for one in steps],
        "request": _request(job, spec),
        "can": {**_can(job, now), "put_first": sees_all},
    }


def _can(job: Job, now: Snapshot) -> dict[str, bool]:
    """What the page offers to do."""
    is_over, is_own = job.status is Status.FINISHED, now.imported is None
    has_document = is_own or bool(now.imported and now.imported["has_document"])
    is_waiting = job.status is Status.QUEUED or (
        job.status is Status.RUNNING and kinds.kind_of(job.spec) is not None
    )
    return {
        "cancel": not is_over and job.cancel_requested_at is None,
        "retry": is_over and is_own and job.state != "SUCCEEDED",
        "ask": now.task not in _NO_DOCUMENT and has_document,
        "hold": is_waiting and job.held_at is None,
        "release": not is_over and job.held_at is not None,
        "prioritize": is_waiting,
        "edit": job.status is Status.QUEUED and not job.attempt,
        "rerun": now.task != TaskKind.BATCH.value
        and (is_own or (has_document and now.task != TaskKind.REQUEST.value)),
        "export": is_over,
        "delete": is_over,
    }


def _request(job: Job, spec: dict[str, Any]) -> Record:
    """What a form that changes the job begins with."""
    task = spec["task"]
    return {
        "question": task.get("text", "") if task["kind"] == TaskKind.ASK.value else None,
        "max_tokens": spec["max_tokens"],
        "server": spec["server"],
        "model": spec.get("model"),
        "thinking": task.get("thinking"),
        "effort": task.get("effort"),
        "label": job.label,
        "at": job.not_before,
    }


def _attempt(one: Attempt) -> Record:
    record = asdict(one)
    del record["job_id"], record["worker"], record["rid"]
    return record


def _parts(store: HttpStore, job: Job) -> Record | None:
    if kinds.kind_of(job.spec) is None:
        return None
    return {**asdict(store.tally(job.id)), "kind": kinds.kind_of(job.spec)}


@dataclass
class Output:
    """A job's output, and how much of it a page has."""

    seen: str = ""
    """Where a page that comes back had read to, as `place` named it."""
    _attempt: int = 0
    _after: int = 0
    _divider: Divider | None = None
    _text: Divided = field(default_factory=lambda: Divided("", ""))
    _shown: Divided | None = None
    """What the page has; None: nothing, not even of this attempt."""
    _is_ended: bool = False

    @property
    def place(self) -> str:
        """How far the page is, for it to say when it comes back."""
        shown = self._shown or Divided("", "")
        return _place(self._attempt, len(shown.answer), len(shown.thoughts), shown)

    def read(self, store: HttpStore, job: Job) -> Record | None:
        """What the page must learn: more `answer` and `thoughts`; with `reset`, instead of what it
        has. None if there is nothing new."""
        if self._is_ended or kinds.kind_of(job.spec) == kinds.BATCH:
            return None
        if job.attempt != self._attempt:
            self._attempt, self._after, self._divider = job.attempt, 0, None
            self._text, self._shown = Divided("", ""), None
        self._take(store, job)
        if job.status is Status.FINISHED:
            self._is_ended, self._text = True, snapshot.output(store, job)
        now = Divided(self._text.answer[:MOST_SHOWN], self._text.thoughts[:MOST_SHOWN])
        self._recognise(now)
        told = _more(self._shown, now)
        self._shown = now
        return told

    def _recognise(self, now: Divided) -> None:
        """What a page that came back has already."""
        seen, self.seen = self.seen, ""
        try:
            attempt, answer, thoughts, _ = map(int, seen.split("."))
        except ValueError:
            return
        if seen == _place(self._attempt, answer, thoughts, now) and attempt == self._attempt:
            self._shown = Divided(now.answer[:answer], now.thoughts[:thoughts])

    def _take(self, store: HttpStore, job: Job) -> None:
        pieces = store.pieces(job.id, job.attempt, self._after)
        if not pieces:
            return
        if self._divider is None:
            attempt = store.attempt(job)
            model = attempt.figures.get("model") if attempt else None
            self._divider = Divider(holds=thinking.is_from_prompt(store, job, model))
        self._after = pieces[-1].seq
        answer, thoughts = [self._text.answer], [self._text.thoughts]
        for one in (s for piece in pieces for s in self._divider.take(piece.text, piece.channel)):
            if one.kind is Kind.RECALL:
                thoughts, answer = [*thoughts, *answer], []
            (answer if one.kind is Kind.ANSWER else thoughts).append(one.text)
        self._text = Divided("".join(answer), "".join(thoughts))


def _place(attempt: int, answer: int, thoughts: int, text: Divided) -> str:
    """An attempt, the lengths of two beginnings, and a checksum of these."""
    read = f"{text.answer[:answer]}\0{text.thoughts[:thoughts]}"
    return f"{attempt}.{answer}.{thoughts}.{zlib.crc32(read.encode('utf-8', 'replace'))}"


def _more(before: Divided | None, now: Divided) -> Record | None:
    if before is None:
        return {"reset": True, "answer": now.answer, "thoughts": now.thoughts}
    if not (now.answer.startswith(before.answer) and now.thoughts.startswith(before.thoughts)):
        return {"reset": True, "answer": now.answer, "thoughts": now.thoughts}
    answer, thoughts = now.answer[len(before.answer) :], now.thoughts[len(before.thoughts) :]
    return {"answer": answer, "thoughts": thoughts} if answer or thoughts else None
