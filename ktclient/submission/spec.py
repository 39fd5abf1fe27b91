"""What a job stores besides its document: enough to perform it, and nothing secret.

A runner of an older ktjob may take a job of a newer one, when both share a state directory. What
it must not misread comes with a new `VERSION`. What it may do without, the count of the tokens,
the single questions of several and the manner, lies inside of "task": every version so far takes
what it knows from there and leaves the rest, while an unknown field beside "task" was an error
until now. Such a runner estimates the count itself, asks all questions in one prompt without a
schema, asks without the system prompt, temperature, thinking and schema that were wished for, and
holds each request to its time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ktclient.errors import BadInput
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.tasks import Kind, Task
from ktclient.splitting.split_plan import Plan
from ktclient.tokens.estimate import Estimate

VERSION = 2
"""A new one comes with a new schema of the database, so that no older runner takes such a job. What
1 can say is stored as 1; a document that is to be split is 2."""
_NEW_KINDS = (Kind.REQUEST, Kind.BATCH)
"""Unknown to version 1."""


@dataclass(frozen=True)
class JobSpec:
    """One long request, to be made later by another process."""

    task: Task
    server: str
    """The server's root URL, or `config.EMBEDDED`."""
    model: str | None
    """None: whatever the server serves."""
    max_tokens: int
    timeout: float
    """Seconds for the whole request, from its start to its last token."""
    counted: Estimate | None = None
    """Tokens of the whole message, where they were counted; the same three times if exactly."""
    manner: GenerationSettings = field(default_factory=GenerationSettings)
    split: Plan | None = None
    """How the document is read in parts: the job conducts them, and asks nothing itself."""
    is_lasting: bool = False
    """Nobody set `timeout`: while it gets on, by its progress or its words, it may take longer."""

    def to_json(self) -> str:
        task: dict[str, object] = {"kind": self.task.kind.value, "text": self.task.text}
        if self.task.questions:
            task["questions"] = self.task.questions
        if self.task.schema:
            task["schema"] = json.loads(self.task.schema)
        if self.is_lasting:
            task["lasting"] = True
        task.update(self.manner.to_fields())
        if self.counted is not None:
            task["tokens"] = [self.counted.low, self.counted.likely, self.counted.high]
        stored: dict[str, object] = {
            "version": VERSION if self.task.kind in _NEW_KINDS else 1,
            "task": task,
            "server": self.server,
            "model": self.model,
            "max_tokens": self.max_tokens,
            "timeout": self.timeout,
        }
        if self.split is not None:
            stored |= {"version": VERSION, "conduct": "split", "split": self.split.to_fields()}
        return json.dumps(stored, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> JobSpec:
        """What is not known here was added by a later ktjob as something that can be left out.
        Raises `BadInput` for a job of a newer version."""
        data = json.loads(text)
        if data["version"] > VERSION:
            raise BadInput(f"this job was submitted by a newer ktjob (spec {data['version']})")
        task = data["task"]
        tokens = task.get("tokens")
        return cls(
            task=_task(task),
            server=data["server"],
            model=data["model"],
            max_tokens=data["max_tokens"],
            timeout=data["timeout"],
            is_lasting=bool(task.get("lasting")),
            counted=None if tokens is None else Estimate(*tokens),
            manner=GenerationSettings.from_fields(task),
            split=Plan.from_fields(data["split"]) if "split" in data else None,
        )


def _task(stored: dict[str, Any]) -> Task:
    schema = stored.get("schema")
    return Task(
        kind=Kind(stored["kind"]),
        text=stored["text"],
        questions=tuple(stored.get("questions", ())),
        schema="" if schema is None else json.dumps(schema, ensure_ascii=False),
    )


def server_of(spec: str) -> str:
    """The server of any kind of job, by its stored spec."""
    return str(json.loads(spec)["server"])
