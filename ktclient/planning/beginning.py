"""What a server reads before the text of a request, as a short name: a prefix cache serves a second
request only where both begin alike."""

from __future__ import annotations

import hashlib
import json

from jobs.model import Job
from ktclient.config.settings import Settings
from ktclient.planning import thinking
from ktclient.planning.thinking import Thinking
from ktclient.prompts.generation import GenerationSettings
from ktclient.servers.dialects.dialect import ServerFacts


def of_task(facts: ServerFacts | None, manner: GenerationSettings, settings: Settings) -> str:
    """What is before a document: the system prompt and what the chat template says of thinking.
    Empty where that is what a request without any such setting has. `facts`: None for the embedded
    server that is not running yet."""
    asked = thinking.beginning(Thinking(manner.thinking, manner.effort), facts, settings)
    usual = thinking.beginning(Thinking(), facts, settings)
    if manner.system is None and asked == usual:
        return ""
    return digest([manner.system, asked])


def of_job(job: Job) -> str:
    """The name that a stored job about a document has."""
    return str(json.loads(job.spec)["task"].get("prefix", ""))


def digest(parts: object) -> str:
    """A short name of any JSON value."""
    text = json.dumps(parts, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
