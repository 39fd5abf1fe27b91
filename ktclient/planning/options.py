"""What is asked, how, and where: all that `check` and a forecast need to know of a request."""

from __future__ import annotations

from dataclasses import dataclass, field

from ktclient.planning import forecast as forecasts
from ktclient.planning import split_planner
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.tasks import Task

MAX_TOKENS = 1024
"""The deployment guide's figure for a summary; for each of several questions asked together."""
MAX_ATTEMPTS = 2
"""One automatic retry, when the worker or the server died. An answer is never asked for again."""


@dataclass(frozen=True)
class RequestOptions:
    """How to ask what. One request per task and document."""

    tasks: tuple[Task, ...] = ()
    max_tokens: int | None = None
    """Of each answer; None: `MAX_TOKENS`, for each question where a task asks several."""
    timeout: float | None = None
    """Seconds for the whole request; None: by the forecast."""
    model: str | None = None
    server: str | None = None
    max_attempts: int = MAX_ATTEMPTS
    patience: float = forecasts.LONG_PATIENCE_SECONDS
    """Seconds that a busy server may take to answer questions about itself."""
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    split: split_planner.Split = "auto"

    def answer_limit(self, task: Task) -> int:
        """Maximum tokens of the answer to this task."""
        if self.max_tokens is not None:
            return self.max_tokens
        return MAX_TOKENS * max(1, len(task.questions))
