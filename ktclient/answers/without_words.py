"""An output without a word of an answer, explained: what came instead, and what to set."""

from __future__ import annotations

from dataclasses import dataclass

from ktclient.wording import count


@dataclass(frozen=True)
class Ending:
    """How such an output ended."""

    reason: str
    """The server's finish reason."""
    has_thoughts: bool
    tokens: int | None
    """Tokens of the thoughts, if known."""
    most: int
    """The request's max_tokens."""
    is_body: bool
    """Whether the user wrote the request's body, as in a batch."""
    is_part: bool
    """Whether it is a part of a long document."""
    kept: str
    """The command that prints the thoughts."""
    calls: str = ""
    """What came as calls of tools, of a model that was given none."""


def words(end: Ending) -> str:
    """What happened, as the rest of a sentence about the server, and what to do."""
    if end.calls:
        return (
            f"sent only calls of tools, though it was given none (finish_reason {end.reason}): "
            f"{end.calls}. The model called one, or the server's tool parser took the answer for "
            "a call: check it, or rephrase the request"
        )
    if not end.has_thoughts:
        return (
            f"finished without a word (finish_reason {end.reason}): the answer has only blanks. "
            "Rephrase the request"
        )
    spent = "" if end.tokens is None else f" of {count(end.tokens, 'token')}"
    if end.reason == "length":
        what = f"sent only thoughts{spent}, cut off by max_tokens before a word of the answer"
    else:
        what = (
            f"sent only thoughts{spent} and no answer (finish_reason {end.reason}): the model "
            "wrote none, or the server took it for thoughts"
        )
    return f"{what}. {_advice(end)}. The thoughts are kept: {end.kept}"


def _advice(end: Ending) -> str:
    if end.is_body:
        more = f"a max_tokens above {end.most:,}"
        off = "chat_template_kwargs that turn thinking off"
    else:
        more = "a higher --max-tokens" if end.is_part else f"--max-tokens above {end.most:,}"
        off = "--thinking off"
    what = "the whole document" if end.is_part else "the line" if end.is_body else "it"
    if end.reason == "length":
        return f"Submit {what} again with {more}, or with {off}"
    return f"Submit {what} again with {off}, or check the server's reasoning parser"
