"""What a job stores besides its document: enough to perform it, and nothing secret.

A runner of an older ktjob may take a job of a newer one, if both share a state directory. Fields
that it must not misread come with a new `VERSION`. Fields that it can do without (the token count,
the single questions of several, the generation settings) are inside "task": every version so far
reads what it knows from there and ignores the rest, while an unknown field beside "task" used to
be an error. Such a runner estimates the count itself, asks all questions in one prompt without a
schema, omits the system prompt, temperature, thinking and schema, and enforces the timeout of each
request.
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
"""A new version comes with a new database schema, so that no older runner takes such a job. Jobs
that version 1 can express are stored as 1; a document that is to be split is 2."""
_NEW_KINDS = (Kind.REQUEST, Kind.BATCH)
"""Unknown to version 1."""


@dataclass(frozen=True)
class JobSpec:
    """One long request, to be sent later by another process."""

    task: Task
    server: str
    """The server's root URL, or `config.EMBEDDED`."""
    model: str | None
    """None: the model that the server serves, of the embedded server and of jobs of earlier
    versions."""
    max_tokens: int
    timeout: float
    """Seconds for the whole request, from its start to its last token."""
    counted: Estimate | None = None
    """Tokens of the whole message, if counted; three equal numbers if the count is exact."""
    manner: GenerationSettings = field(default_factory=GenerationSettings)
    split: Plan | None = None
    """The split plan: the job conducts the parts, and sends no request itself."""
    is_lasting: bool = False
    """`timeout` is a default: it is extended while progress or output arrives."""
    has_key: bool = False
    """An API key was configured for the server at submit: without one, the request is not sent."""
    thinking: str = ""
    """How hard it thinks and what that costs, for people: "high, 83 tokens of template"."""
    remarks: tuple[str, ...] = ()
    """How the document was read, and what was left out of it, for people."""

    is_model_chosen: bool = False
    """Nobody asked for `model`: submit found it there and chose it. If the server serves another
    one now, and no other, that one is used."""

    prefix: str = ""
    """A name of what stands before the document (`planning.beginning`), or before the last message
    of a body (`submission.prefix`). Empty: nothing that differs from one request to another."""

    is_short: bool = False
    """Its prefill takes seconds, so it may share a worker with others like it."""

    others: tuple[str, ...] = ()
    """Servers that may take the job before its request is sent, if its own does not: their URLs."""

    is_relayed: bool = False
    """The body is that of a client of the gateway: whether to think, where it says nothing, is left
    to the server, as if the client had sent it there."""

    def to_json(self) -> str:
        task: dict[str, object] = {"kind": self.task.kind.value, "text": self.task.text}
        if self.task.questions:
            task["questions"] = self.task.questions
        if self.task.schema:
            task["schema"] = json.loads(self.task.schema)
        has_chosen = self.is_model_chosen and self.model is not None
        flags = {
            "lasting": self.is_lasting,
            "keyed": self.has_key,
            "chosen": has_chosen,
            "short": self.is_short,
            "relayed": self.is_relayed,
        }
        task.update({name: True for name, is_set in flags.items() if is_set})
        if self.prefix:
            task["prefix"] = self.prefix
        if self.thinking:
            task["thinks"] = self.thinking
        if self.remarks:
            task["remarks"] = list(self.remarks)
        if self.others:
            task["others"] = list(self.others)
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
        """Parse a stored spec. Unknown fields come from a later ktjob and are optional, so they are
        ignored. Raises `BadInput` for a job of a newer version."""
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
            has_key=bool(task.get("keyed")),
            is_model_chosen=bool(task.get("chosen")),
            is_short=bool(task.get("short")),
            is_relayed=bool(task.get("relayed")),
            prefix=str(task.get("prefix", "")),
            thinking=str(task.get("thinks", "")),
            remarks=tuple(task.get("remarks", ())),
            others=tuple(task.get("others", ())),
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


def may_share(spec: str) -> bool:
    """Whether a job of this stored spec may share a worker with other short ones."""
    return bool(json.loads(spec)["task"].get("short"))


def begins(spec: str, document: str) -> str:
    """A key that is equal for two requests with a long beginning in common, from a job's stored
    spec and the SHA-256 of its document."""
    stored = json.loads(spec)
    task = stored.get("task", {})
    prefix = task.get("prefix", "")
    is_of_body = prefix and task.get("kind") == Kind.REQUEST.value
    return "\n".join((str(stored.get("model")), prefix, "" if is_of_body else document))


def server_of(spec: str) -> str:
    """The server of a job of any kind, from its stored spec."""
    return str(json.loads(spec)["server"])
