"""What a job stores besides its document: enough to perform it, and nothing secret."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ktclient.errors import BadInput
from ktclient.tasks import Kind, Task

VERSION = 1
"""A new one comes with a new schema of the database, so that no older runner takes such a job."""


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

    def to_json(self) -> str:
        return json.dumps({"version": VERSION, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> JobSpec:
        """Raises `BadInput` for a job of a newer version."""
        data = json.loads(text)
        version = data.pop("version")
        if version > VERSION:
            raise BadInput(f"this job was submitted by a newer ktjob (spec {version})")
        task = data.pop("task")
        return cls(task=Task(Kind(task["kind"]), task["text"]), **data)
