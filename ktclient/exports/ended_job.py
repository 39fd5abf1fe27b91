"""From a record of an export to a job that can be stored. What it was asked is rebuilt from checked
fields: nothing of the file is stored that a later command would act on unseen."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from jobs import clock
from jobs.model import Outcome
from jobs.upkeep.imports import GROUP_ID, JOB_ID, EndedJob
from ktclient.answers.stretches import ANSWER_CHANNEL, THOUGHTS_CHANNEL
from ktclient.batch.spec import BatchSpec
from ktclient.exports.fields import Fields, Unusable
from ktclient.prompts.generation import EFFORTS, GenerationSettings
from ktclient.prompts.tasks import Kind, Task
from ktclient.records import kinds
from ktclient.splitting.split_plan import Plan
from ktclient.submission.spec import JobSpec
from ktclient.tokens.estimate import Estimate

_FIGURE = re.compile("[a-z][a-z0-9_]{0,60}")
_COUNTS = ("parts", "lines", "failed")
_PAIRS = (("prompt_tokens", "completion_tokens"), ("lines", "failed"))
"""Where one of them is, commands show both."""
_PART_TEXTS = ("part", "id", "state", "title", "cause", "message")
_PART_NUMBERS = ("level", "start", "end", "attempt", "prompt_tokens", "completion_tokens")
_CHUNK = 7
"""Values of one chunk in a stored plan."""


def of_record(found: Fields) -> EndedJob:
    """The job of one record. Raises `Unusable`."""
    document, answer = found.inner("document"), found.text("answer")
    if _digest(answer.encode()) != found.text("answer_sha256"):
        raise Unusable("its answer is not the one that was exported: the SHA-256 differs")
    body = document.text("text").encode() if document.has("text") else None
    sha256 = document.text("sha256")
    if body is not None and _digest(body) != sha256:
        raise Unusable("its document is not the one that was exported: the SHA-256 differs")
    job_id = _id(found, "id")
    imported = found.inner("imported")
    attempt, thoughts = found.whole("attempt"), found.raw("thoughts")
    output = [(THOUGHTS_CHANNEL, found.text("thoughts"))] if thoughts else []
    return EndedJob(
        id=job_id,
        origin=_id(imported, "id") if found.has("imported") else job_id,
        server=found.line("server"),
        title=document.line("name"),
        spec=kinds.as_imported(_spec(found), _origin(found, job_id)),
        sha256=_sha256(sha256),
        document=body,
        outcome=_outcome(found),
        cause=found.code("cause"),
        message=found.line_or_none("message"),
        attempt=attempt if attempt or not (answer or output) else 1,
        max_attempts=max(1, found.whole("max_attempts")),
        label=found.line_or_none("label"),
        group_id=_group(found),
        created_at=found.moment("created_at"),
        started_at=found.moment_or_none("started_at"),
        finished_at=found.moment("finished_at"),
        figures=_figures(found.inner("figures")),
        output=(*output, *([(ANSWER_CHANNEL, answer)] if answer else [])),
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _id(found: Fields, name: str) -> str:
    """An id; it is a part of file names later."""
    job_id = found.text(name)
    if not JOB_ID.fullmatch(job_id):
        raise Unusable(f"{name} is no id of a job")
    return job_id


def _group(found: Fields) -> str | None:
    group = found.line_or_none("group")
    if group is not None and not GROUP_ID.fullmatch(group):
        raise Unusable("group is no id of a group")
    return group


def _sha256(given: str) -> str:
    if len(given) != 64 or set(given) - set("0123456789abcdef"):
        raise Unusable("document.sha256 is no SHA-256")
    return given


def _outcome(found: Fields) -> Outcome:
    state = found.text("state")
    try:
        return Outcome(state)
    except ValueError:
        raise Unusable("state is not that of an ended job") from None


def _origin(found: Fields, job_id: str) -> dict[str, object]:
    document = found.inner("document")
    return {
        "at": clock.now(),
        "id": job_id,
        "sha256": document.text("sha256"),
        "bytes": document.whole("bytes"),
        "parts": [_part(one) for one in found.inners("parts")],
    }


def _part(found: Fields) -> dict[str, object]:
    seconds = found.number("seconds") if found.has("seconds") else None
    return {
        **{name: found.line_or_none(name) for name in _PART_TEXTS},
        **{name: found.whole_or_none(name) for name in _PART_NUMBERS},
        "seconds": seconds,
    }


def _figures(found: Fields) -> dict[str, object]:
    figures: dict[str, object] = {}
    for name in found.names():
        if not _FIGURE.fullmatch(name):
            raise Unusable("figures has a name that is none of a figure")
        if name.endswith("_tokens") or name in _COUNTS:
            figures[name] = found.whole_or_none(name)
        elif name.endswith("_seconds"):
            figures[name] = found.number(name) if found.has(name) else None
        else:
            figures[name] = found.value(name)
    for one, other in _PAIRS:
        if figures.get(one) is not None and figures.get(other) is None:
            raise Unusable(f"figures.{other} is missing")
    return figures


def _spec(found: Fields) -> str:
    task = found.text("task")
    try:
        kind = Kind(task)
    except ValueError:
        raise Unusable("task is unknown to this version of ktjob") from None
    if kind is Kind.BATCH:
        return _batch(found)
    counted = found.whole_numbers("counted")
    if len(counted) not in (0, 3):
        raise Unusable("counted is not three numbers")
    schema = found.raw("answer_schema")
    if schema is not None and not isinstance(schema, dict):
        raise Unusable("answer_schema is no JSON object")
    stored = "" if schema is None else json.dumps(schema, ensure_ascii=False)
    return JobSpec(
        task=Task(kind, found.text("instruction"), found.texts("questions"), stored),
        server=found.line("server"),
        model=found.line_or_none("model"),
        max_tokens=found.whole("max_tokens"),
        timeout=found.number("timeout"),
        counted=Estimate(*counted) if counted else None,
        manner=_manner(found.inner("settings")),
        split=_plan(found.inner("split")) if found.has("split") else None,
        thinking=found.line_or_none("thinking") or "",
        remarks=found.lines("remarks"),
    ).to_json()


def _manner(found: Fields) -> GenerationSettings:
    manner = GenerationSettings.from_fields({name: found.raw(name) for name in found.names()})
    if manner.effort not in (None, *EFFORTS):
        raise Unusable("settings.effort is unknown to this version of ktjob")
    return manner


def _batch(found: Fields) -> str:
    """Without a results file: the file of the other machine is not written here."""
    lines = found.inner("figures").whole_or_none("lines") or 0
    return BatchSpec(
        results="",
        errors=None,
        mode=0o600,
        lines=lines,
        digest="",
        server=found.line("server"),
        model=found.line_or_none("model"),
        max_tokens=found.whole("max_tokens"),
        timeout=found.number("timeout"),
        max_attempts=max(1, found.whole("max_attempts")),
    ).to_json()


def _plan(found: Fields) -> Plan:
    rows = found.raw("chunks")
    if not isinstance(rows, list) or not rows or not all(map(_is_chunk, rows)):
        raise Unusable("split.chunks is no list of chunks")
    return Plan.from_fields(
        {
            **{name: found.whole(name) for name in ("answer", "room", "attempts")},
            "chinese": bool(found.raw("chinese")),
            "chunks": rows,
        }
    )


def _is_chunk(row: Any) -> bool:
    if not isinstance(row, list) or len(row) != _CHUNK or not isinstance(row[3], str):
        return False
    return all(type(value) is int and value >= 0 for value in (*row[:3], *row[4:]))
