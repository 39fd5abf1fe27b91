"""What to ask, how, and where: all that `check` and a forecast need to know about a request."""

from __future__ import annotations

from dataclasses import dataclass, field

from ktclient.planning import forecast as forecasts
from ktclient.planning import split_planner
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.tasks import Task

MAX_TOKENS = 1024
"""The deployment guide's figure for a summary; applies to each of several combined questions."""
MAX_ATTEMPTS = 2
"""One automatic retry if the worker or the server died; none if the server answered."""


@dataclass(frozen=True)
class RequestOptions:
    """What to ask, and how. One request per task and document."""

    tasks: tuple[Task, ...] = ()
    max_tokens: int | None = None
    """Maximum tokens of each answer; None: `MAX_TOKENS` for each question of a task."""
    timeout: float | None = None
    """Seconds for the whole request; None: set by the forecast."""
    model: str | None = None
    server: str | None = None
    max_attempts: int = MAX_ATTEMPTS
    patience: float = forecasts.LONG_PATIENCE_SECONDS
    """Seconds that a busy server may take to report its facts."""
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    split: split_planner.Split = "auto"
    seen_model: str | None = None
    """The model that an earlier submit chose by itself: taken if the server still lists it."""
    server_from: str | None = None
    """Where `server` comes from, for messages; None: from the command line or the caller."""

    @property
    def chosen(self) -> tuple[str | None, str | None, str | None, str | None]:
        """Server and model as `servers.selection.choose` takes them."""
        return self.server, self.model, self.seen_model, self.server_from

    def answer_limit(self, task: Task) -> int:
        """Maximum tokens of the answer to this task."""
        if self.max_tokens is not None:
            return self.max_tokens
        return MAX_TOKENS * max(1, len(task.questions))
