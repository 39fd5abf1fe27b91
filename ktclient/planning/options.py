"""What is asked, how, and where: the options of a request."""

from __future__ import annotations

from dataclasses import dataclass, field

from ktclient.planning import forecast as forecasts
from ktclient.planning import split_planner
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.tasks import Task
from ktclient.submission.conditions import Conditions

MAX_TOKENS = 1024
"""The deployment guide's figure for a summary; for each of several questions asked together."""


MAX_ATTEMPTS = 2
"""One more try by itself, when the worker or the server died; none for anything answered."""


@dataclass(frozen=True)
class Options:
    """How to ask what. One job per task and document."""

    tasks: tuple[Task, ...]
    max_tokens: int | None = None
    """Of each answer; None: `MAX_TOKENS`, for each question where a task asks several."""
    timeout: float | None = None
    model: str | None = None
    server: str | None = None
    max_attempts: int = MAX_ATTEMPTS
    priority: int = 0
    patience: float = forecasts.LONG_PATIENCE_SECONDS
    """Seconds that a busy server may take to tell about itself."""
    manner: GenerationSettings = field(default_factory=GenerationSettings)
    split: split_planner.Split = "auto"
    conditions: Conditions = field(default_factory=Conditions)
    tellings: tuple[tuple[str, str], ...] = ()
    """Whom to tell how each job ended: what `telling.wished` gives."""

    submit_key: str | None = None
    """What was submitted under it before is not stored again (idempotency.py)."""

    def most(self, task: Task) -> int:
        """Tokens of the answer to this task, at most."""
        if self.max_tokens is not None:
            return self.max_tokens
        return MAX_TOKENS * max(1, len(task.questions))
