"""The task for a document, and the one message that is sent.

The document comes first and the instruction last, so that a server with a prefix cache reuses
the document's share when the same text is asked about again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from ktclient.documents import file_name
from ktclient.documents.document import display_name
from ktclient.errors import BadInput
from ktclient.prompts import answer_schema, combined


class Kind(str, Enum):
    """The three kinds of tasks for a document; or the document is a whole request."""

    SUMMARIZE = "summarize"
    ASK = "ask"
    PROMPT = "prompt"
    REQUEST = "request"
    """The document is a body of /v1/chat/completions (body.py)."""
    BATCH = "batch"
    """The document is many requests (batch/enqueue.py), and each is a part of the job."""


@dataclass(frozen=True)
class Task:
    """One instruction; `text` is the question or the prompt, empty for a summary."""

    kind: Kind
    text: str = ""
    questions: tuple[str, ...] = ()
    """If one request combines several questions: each of them. `text` has them all."""
    schema: str = ""
    """A JSON Schema that the answer must follow, as JSON."""
    around_title: tuple[str, ...] = ()
    """For a prompt that names its document: the pieces around the name."""

    def about(self, title: str) -> Task:
        """The task for a document of this name."""
        if not self.around_title:
            return self
        return replace(self, text=display_name(title).join(self.around_title), around_title=())


_NAMES = {Kind.ASK: "the question (--ask)", Kind.PROMPT: "the prompt (--prompt)"}


def task(summarize: bool, ask: str | None, prompt: str | None) -> Task:
    """The one chosen task; a summary by default. Raises `BadInput`."""
    return tasks(summarize, [] if ask is None else [ask], prompt)[0]


def tasks(
    summarize: bool, asks: Sequence[str], prompt: str | None, *, as_one: bool = False
) -> tuple[Task, ...]:
    """The chosen tasks: one, or one for each question; a summary by default. `as_one` makes one
    task of the questions. Raises `BadInput`."""
    chosen = [
        *([Task(Kind.SUMMARIZE)] if summarize else []),
        *(Task(Kind.ASK, question) for question in asks),
        *([Task(Kind.PROMPT, prompt)] if prompt is not None else []),
    ]
    if len({one.kind for one in chosen}) > 1:
        given = " and ".join(dict.fromkeys(f"--{one.kind.value}" for one in chosen))
        raise BadInput(f"use only one of --summarize, --ask, --prompt, not {given}")
    for one in chosen:
        if one.kind is not Kind.SUMMARIZE and not one.text.strip():
            raise BadInput(f"{_NAMES[one.kind]} is empty")
        if not _is_text(one.text):
            raise BadInput(f"{_NAMES[one.kind]} is not valid in this terminal's encoding")
        if one.kind is not Kind.SUMMARIZE:
            file_name.require_question(one.text, _NAMES[one.kind], f"--{one.kind.value}")
    if as_one and len(asks) < 2:
        raise BadInput("--together needs several questions: give --ask more than once")
    if as_one:
        numbered = "\n".join(f"{number}. {text}" for number, text in enumerate(asks, 1))
        return (Task(Kind.ASK, numbered, tuple(asks)),)
    return tuple(chosen) or (Task(Kind.SUMMARIZE),)


def with_schema(chosen: Sequence[Task], schema: str) -> tuple[Task, ...]:
    """The same tasks, with a schema for their answers. Raises `BadInput`."""
    if any(one.questions for one in chosen):
        raise BadInput("--together sets its own schema: ask one question, or omit --schema")
    return tuple(replace(one, schema=schema) for one in chosen)


def response_format(task: Task) -> dict[str, object] | None:
    """OpenAI's field for an answer in JSON; None if any text is allowed."""
    if task.questions:
        return combined.response_format(task.questions)
    return answer_schema.response_format(task.schema) if task.schema else None


def _is_text(text: str) -> bool:
    """Whether a text contains no surrogates, which cannot be encoded."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def message(document: str, task: Task) -> str:
    """The user message: the document, a blank line, the instruction in the document's language."""
    wanted = _instruction(document, task)
    if task.schema:
        wanted += "\n\n" + answer_schema.instruction(task.schema, chinese=is_chinese(document))
    return document + "\n\n" + wanted


def _instruction(document: str, task: Task) -> str:
    if task.kind is Kind.PROMPT:
        return task.text
    chinese = is_chinese(document)
    if task.questions:
        return combined.instruction(task.questions, chinese=chinese)
    if task.kind is Kind.SUMMARIZE:
        return "请总结上文。" if chinese else "Please summarize the text above."
    lead = "请根据上文回答:" if chinese else "Answer from the text above: "
    return lead + task.text


def is_chinese(text: str) -> bool:
    """Whether a sample of the text is mostly Han characters without Japanese kana."""
    sample = text[:20_000]
    letters = sum(character.isalpha() for character in sample) or 1
    han = sum("\u4e00" <= character <= "\u9fff" for character in sample)
    kana = sum("\u3040" <= character <= "\u30ff" for character in sample)
    return han / letters > 0.5 and kana / letters < 0.05
