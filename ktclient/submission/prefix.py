"""What a request body has before its last message, as a short name: a server's prefix cache serves
a second request only where both begin alike. Pure."""

from __future__ import annotations

from ktclient.planning.beginning import digest
from ktclient.request.body import Body

LEAST_CHARACTERS = 8_000
"""Of what stands before the last message of a body: about 2,000 tokens, as many as a request has
that counts as short (`chat_request.SHORT_TOKENS`). What is shorter saves no second, and is no
reason to prefer one job to another."""
_OF_TEMPLATE = ("tools", "chat_template_kwargs", "reasoning_effort", "thinking", "reasoning")


def of_body(body: Body) -> str:
    """All of a body but its last message; empty if that is short."""
    before = {"messages": body.messages[:-1], "tools": body.fields.get("tools")}
    if len(Body(before).text) < LEAST_CHARACTERS:
        return ""
    return digest([before["messages"], of_fields(body)])


def of_fields(body: Body) -> str:
    """The fields of a body that chat templates write before the messages; empty without any."""
    found = {name: body.fields[name] for name in _OF_TEMPLATE if body.fields.get(name) is not None}
    return digest(found) if found else ""
