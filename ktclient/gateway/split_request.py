"""A request whose document may be longer than the window: in parts, if its header asks for that.

Parts are for one document and one instruction, as on the command line. So the body must be one
message of the user: its last text is the instruction and those before it are the document, or the
whole message is the document and the system prompt is the instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ktclient.documents import document as documents
from ktclient.documents.document import Document
from ktclient.gateway.wire.errors import ApiError
from ktclient.planning import split_planner
from ktclient.planning.options import RequestOptions
from ktclient.planning.split_planner import Split
from ktclient.prompts import generation, tasks
from ktclient.request.body import Body
from ktclient.submission import chat_request
from ktclient.submission.chat_request import ChatOptions
from ktclient.submission.options import SubmitOptions
from ktclient.wording import quote

HEADER = "x-ktjob-split"
"""auto: only where one request does not fit; or the most tokens of a part."""
_TAKEN = frozenset(
    {"messages", "model", "max_tokens", "max_completion_tokens", "temperature", "user", "n"}
)
"""Fields of a body that parts can have, too."""
_SYSTEM = ("system", "developer")


def wanted(headers: Mapping[str, str]) -> Split | None:
    """What the header asks for; None without it. Raises `ApiError`."""
    given = headers.get(HEADER)
    if given is None or given == "never":
        return None
    if given == "auto":
        return "auto"
    if given.isascii() and given.isdigit() and 0 < int(given) < 10**9:
        split = int(given)
        split_planner.check(split)
        return split
    words = f"the header {HEADER} is {quote(given)}, and may be auto or a number of tokens"
    raise ApiError(400, words, code="invalid_value", param=HEADER)


def of(body: Body, options: ChatOptions, split: Split) -> tuple[Document, SubmitOptions]:
    """The document of a body, and how it is submitted. Raises `ApiError`, `BadInput`."""
    others = sorted(body.fields.keys() - _TAKEN)
    if others:
        raise _refused(f"{others[0]} cannot be used with parts", others[0])
    text, instruction, system = _divided(body)
    manner = generation.parse(system, body.fields.get("temperature"))
    request = RequestOptions(
        tasks=(tasks.task(False, None, instruction),),
        max_tokens=body.max_tokens or options.max_tokens,
        timeout=options.timeout,
        model=options.model,
        server=options.server,
        max_attempts=options.max_attempts,
        patience=options.patience,
        generation=manner,
        split=split,
    )
    document = documents.from_text(text, chat_request.title(body))
    submit = SubmitOptions(
        request, options.priority, submit_key=options.submit_key, http_request=options.request
    )
    return document, submit


def is_possible(body: Body) -> bool:
    """Whether a body that is too long could be sent again with the header."""
    try:
        _divided(body)
    except ApiError:
        return False
    return not body.fields.keys() - _TAKEN


def _divided(body: Body) -> tuple[str, str, str | None]:
    """The document, the instruction, and a system prompt besides. Raises `ApiError`."""
    messages = list(body.messages)
    systems = [messages.pop(0) for one in body.messages[:1] if one["role"] in _SYSTEM]
    if len(messages) != 1 or messages[0]["role"] != "user":
        raise _refused("parts are for one message of the user, after a system prompt at most")
    texts = _texts(messages[0])
    system = "\n\n".join(_texts(systems[0])) if systems else None
    if len(texts) > 1:
        return "\n\n".join(texts[:-1]), texts[-1], system
    if system is None:
        raise _refused(
            "parts need a document and an instruction: give the instruction as a separate last "
            "text part, or as a system prompt"
        )
    return texts[0], system, None


def _texts(message: Mapping[str, Any]) -> list[str]:
    content = message.get("content") or ""
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content if "text" in part] or [""]


def _refused(why: str, param: str = "messages") -> ApiError:
    return ApiError(400, f"{why} ({HEADER})", code="invalid_value", param=param)
