"""What is asked about a document, as the one message that is sent.

The document comes first and the instruction last, so that a server with a prefix cache reuses
the document's share when the same text is asked about again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ktclient.documents import neutral
from ktclient.errors import BadInput


class Kind(str, Enum):
    """The three ways to say what is wanted."""

    SUMMARIZE = "summarize"
    ASK = "ask"
    PROMPT = "prompt"


@dataclass(frozen=True)
class Task:
    """One instruction; `text` is the question or the prompt, empty for a summary."""

    kind: Kind
    text: str = ""


def task(summarize: bool, ask: str | None, prompt: str | None) -> Task:
    """The one task that was chosen; a summary when none was. Raises `BadInput`."""
    chosen = [
        *([Task(Kind.SUMMARIZE)] if summarize else []),
        *([Task(Kind.ASK, ask)] if ask is not None else []),
        *([Task(Kind.PROMPT, prompt)] if prompt is not None else []),
    ]
    if len(chosen) > 1:
        names = " and ".join(one.kind.value for one in chosen)
        raise BadInput(f"choose one of summarize, ask and prompt, not {names}")
    if chosen and chosen[0].kind is not Kind.SUMMARIZE and not chosen[0].text.strip():
        raise BadInput(f"the {chosen[0].kind.value} text is empty")
    if chosen and not _is_text(chosen[0].text):
        raise BadInput(f"the {chosen[0].kind.value} text is not valid in this terminal's encoding")
    return chosen[0] if chosen else Task(Kind.SUMMARIZE)


def _is_text(text: str) -> bool:
    """Without halves of characters, which no encoding can carry."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def message(document: str, task: Task) -> str:
    """The user message: the document, a blank line, the instruction in the document's language."""
    # A question is pasted from somewhere too: a template's mark in it is as harmless as in a text.
    return document + "\n\n" + neutral(_instruction(document, task))[0]


def _instruction(document: str, task: Task) -> str:
    chinese = is_chinese(document)
    if task.kind is Kind.SUMMARIZE:
        return "请总结上文。" if chinese else "Please summarize the text above."
    if task.kind is Kind.ASK:
        lead = "请根据上文回答:" if chinese else "Answer from the text above: "
        return lead + task.text
    return task.text


def is_chinese(text: str) -> bool:
    """Whether a sample of the text is mostly Han characters without Japanese kana."""
    sample = text[:20_000]
    letters = sum(character.isalpha() for character in sample) or 1
    han = sum("\u4e00" <= character <= "\u9fff" for character in sample)
    kana = sum("\u3040" <= character <= "\u30ff" for character in sample)
    return han / letters > 0.5 and kana / letters < 0.05
