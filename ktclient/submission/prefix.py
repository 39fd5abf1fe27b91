"""What a request has before its document, as a short name: a server's prefix cache serves a second
question only where both begin alike. Pure but for what `thinking` looks up."""

from __future__ import annotations

import hashlib
import json

from ktclient.config.settings import Settings
from ktclient.planning import thinking
from ktclient.planning.thinking import Thinking
from ktclient.prompts.generation import GenerationSettings
from ktclient.request.body import Body
from ktclient.servers.selection import Target

LEAST_CHARACTERS = 8_000
"""Of what stands before the last message of a body: about 2,000 tokens, as many as a request has
that counts as short (`chat_request.SHORT_TOKENS`). What is shorter saves no second, and is no
reason to prefer one job to another."""
_OF_TEMPLATE = ("tools", "chat_template_kwargs", "reasoning_effort", "thinking", "reasoning")
"""Fields of a body that chat templates write before the messages."""


def of_task(target: Target, manner: GenerationSettings, settings: Settings) -> str:
    """What is before the document: the system prompt and what the chat template says of thinking.
    Empty where that is what a request without any such setting has."""
    asked = thinking.beginning(Thinking(manner.thinking, manner.effort), target.facts, settings)
    usual = thinking.beginning(Thinking(), target.facts, settings)
    if manner.system is None and asked == usual:
        return ""
    return _digest([manner.system, asked])


def of_body(body: Body) -> str:
    """All of a body but its last message; empty if that is short."""
    before = {"messages": body.messages[:-1], "tools": body.fields.get("tools")}
    if len(Body(before).text) < LEAST_CHARACTERS:
        return ""
    return _digest([before["messages"], *(body.fields.get(name) for name in _OF_TEMPLATE)])


def _digest(parts: object) -> str:
    text = json.dumps(parts, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
