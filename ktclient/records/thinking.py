"""What is known about how a model thinks: whether its opening tag stands in its prompt.

Then nothing shows that its output is thought until it ends, so its text is held back until then.
"""

from __future__ import annotations

import json
from typing import Protocol

from jobs.model import Job

ONLY_THOUGHTS = "only_thoughts"
"""The figure of an attempt whose output was cut off in thoughts that began in the prompt. Nothing
in the output shows that."""


class Memory(Protocol):
    """What is remembered about servers: the store, or an attempt's view of it."""

    def recall(self, pool: str, name: str) -> dict[str, object] | None: ...


class Notebook(Memory, Protocol):
    """The same, to write."""

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None: ...


def record(memory: Notebook, spec: str, model: str, *, is_from_prompt: bool) -> None:
    """Remember how this output began, if that is news."""
    server, name = _place(spec, model)
    if is_from_prompt != _recalled(memory, server, name):
        memory.remember(server, name, {"from_prompt": is_from_prompt})


def is_from_prompt(memory: Memory, job: Job, model: object) -> bool:
    """Whether thoughts of this model began without a tag when it was asked in the same way."""
    return isinstance(model, str) and _recalled(memory, *_place(job.spec, model))


def will_be_from_prompt(memory: Memory, server: str, model: str) -> bool:
    """The same for a request body that is not a job yet."""
    return _recalled(memory, server, _name(model, None))


def _recalled(memory: Memory, server: str, name: str) -> bool:
    return bool((memory.recall(server, name) or {}).get("from_prompt"))


def _place(spec: str, model: str) -> tuple[str, str]:
    """The server, and the name for this model with thinking on, off, or as the server likes."""
    stored = json.loads(spec)
    return stored["server"], _name(model, stored["task"].get("thinking"))


def _name(model: str, thinking: object) -> str:
    return f"thoughts of {model}, thinking {thinking}"
