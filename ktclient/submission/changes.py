"""What a stored job's request gets instead, by `edit` or `rerun`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ktclient.prompts import generation, tasks
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.tasks import Task

NOW = "now"
"""The start time that means: as soon as it can."""


@dataclass(frozen=True)
class Changes:
    """What is not as in the stored job; None: as there."""

    question: str | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    """Seconds."""
    server: str | None = None
    model: str | None = None
    thinking: bool | None = None
    effort: str | None = None
    label: str | None = None
    """Empty: none."""
    at: str | datetime | None = None
    """Not before then; `NOW`: as soon as it can."""

    @property
    def is_of_request(self) -> bool:
        """Whether the request itself is another one."""
        return self != Changes(label=self.label, at=self.at)

    @property
    def is_of_limit(self) -> bool:
        """Whether of the request only the limit of its answer is another one."""
        only = Changes(max_tokens=self.max_tokens, label=self.label, at=self.at)
        return self.max_tokens is not None and self == only

    def manner(self, old: GenerationSettings) -> GenerationSettings:
        """The old generation settings with these. Raises `BadInput`."""
        if self.thinking is None and self.effort is None:
            return old
        return generation.parse(old.system, old.temperature, self.thinking, self.effort)

    def task(self, old: Task) -> Task:
        """The old task, or the new question, with the schema of the old one's answer."""
        if self.question is None:
            return old
        (asked,) = tasks.tasks(False, [self.question], None)
        return replace(asked, schema=old.schema)
