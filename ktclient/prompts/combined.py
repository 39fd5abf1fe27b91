"""Combine several questions in one request: the instruction, the schema of the answer, and
splitting the answer again. Pure.

The document is then prefilled once, even by a server without a prefix cache. The schema makes
sglang and llama.cpp generate only such an object. The answer is parsed tolerantly anyway: a server
may not support schemas (sglang-kt 0.7.2 comes without xgrammar), DeepSeek V4 with thinking repeats
the start of the object inside it (vLLM #41132 and related ones), and an answer may end because its
tokens were used up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

_MOST_OBJECTS = 200
"""At most this many places are tried where the answer may begin; JSON begins at the first."""
_KEY = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([0-9]+))\s*:\s*')
_NEXT = re.compile(r"\s*([,}])")
_NUMBER = re.compile(r"[^0-9]*([0-9]{1,9})[^0-9]*")
_DECODER = json.JSONDecoder(strict=False)  # models put raw line ends into strings


@dataclass(frozen=True)
class Part:
    """One question and its answer; `text` is None if there is no complete answer."""

    question: str
    text: str | None


def instruction(questions: Sequence[str], *, chinese: bool) -> str:
    """The instruction after the document. It repeats what the schema says: some servers do not
    support schemas, and models write better answers with it."""
    lead = (
        "请根据上文回答下列每个问题。只输出一个 JSON 对象:键是问题的编号,值是回答(字符串)。"
        if chinese
        else "Answer each of these questions from the text above. Write one JSON object and "
        "nothing else: its keys are the numbers of the questions, its values the answers, as "
        "strings."
    )
    numbered = (f"{number}. {question}" for number, question in enumerate(questions, 1))
    return "\n\n".join((lead, "\n".join(numbered)))


def response_format(questions: Sequence[str]) -> dict[str, object]:
    """OpenAI's `response_format` for their answers: all of them, in order, as strings."""
    numbers = [str(number) for number in range(1, len(questions) + 1)]
    schema = {
        "type": "object",
        "properties": {number: {"type": "string"} for number in numbers},
        "required": numbers,
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "answers", "strict": True, "schema": schema},
    }


def split(text: str, questions: Sequence[str]) -> list[Part]:
    """One answer per question, in order, parsed from any model output."""
    best, best_rank = {}, (0, False)
    at, tries = text.find("{"), 0
    while at >= 0 and tries < _MOST_OBJECTS:
        pairs, end = _pairs(text, at)
        found = _numbered(pairs, questions)
        rank = (len(found), end is not None)
        # Prefer complete over cut off, more over fewer, and the last of equals: models think first.
        if found and (rank[1], rank[0]) >= (best_rank[1], best_rank[0]):
            best, best_rank = found, rank
        at, tries = text.find("{", at + 1 if end is None else end), tries + 1
    return [Part(question, best.get(n)) for n, question in enumerate(questions, 1)]


def as_text(answers: Sequence[Part]) -> str:
    """The answers as text, each under its question."""
    missing = "(no whole answer)"
    return "\n\n".join(
        f"{number}. {answer.question}\n\n{missing if answer.text is None else answer.text}"
        for number, answer in enumerate(answers, 1)
    )


def unanswered(answers: Sequence[Part]) -> list[int]:
    """The numbers of the questions without an answer."""
    return [number for number, answer in enumerate(answers, 1) if answer.text is None]


def _pairs(text: str, start: int) -> tuple[list[tuple[str, object]], int | None]:
    """The complete pairs of the object that begins at `start`, and where it ends: None if it does
    not, because it was cut off or is not JSON from some point on."""
    pairs: list[tuple[str, object]] = []
    at = start + 1
    while key := _KEY.match(text, at):
        try:
            value, at = _DECODER.raw_decode(text, key.end())
        except (ValueError, RecursionError):  # cut off, not JSON, or nested too deeply
            return pairs, None
        pairs.append((key.group(1) or key.group(2) or "", value))
        after = _NEXT.match(text, at)
        if after is None:
            return (pairs[:-1] if _may_go_on(value, text, at) else pairs), None
        at = after.end()
        if after.group(1) == "}":
            return pairs, at
    return pairs, None


def _may_go_on(value: object, text: str, at: int) -> bool:
    """Whether the text may have ended inside a bare word or number."""
    return not isinstance(value, (str, dict, list)) and at == len(text)


def _numbered(pairs: Sequence[tuple[str, object]], questions: Sequence[str]) -> dict[int, str]:
    """The answers of these pairs, by question number."""
    places = {question.strip(): number for number, question in enumerate(questions, 1)}
    found: dict[int, str] = {}
    for key, value in pairs:
        number = places.get(key.strip()) or _number(key)
        said = _text_of(value)
        if 1 <= number <= len(questions) and said is not None:
            found[number] = said
    if found or len(pairs) != 1:
        return found
    inside = pairs[0][1]  # {"answers": …}
    if isinstance(inside, dict):
        return _numbered([(str(key), value) for key, value in inside.items()], questions)
    if isinstance(inside, list) and len(inside) == len(questions):
        return _numbered([(str(n), value) for n, value in enumerate(inside, 1)], questions)
    return found


def _number(key: str) -> int:
    """1 for "1", "1.", "Q1" and "question 1"; 0 if there is no number."""
    match = _NUMBER.fullmatch(key)
    return int(match.group(1)) if match else 0


def _text_of(value: object) -> str | None:
    if isinstance(value, dict) and isinstance(value.get("answer"), str):
        return str(value["answer"])
    if value is None or isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
