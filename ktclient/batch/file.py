"""Read and check a file of requests in OpenAI's Batch format. Pure except for the file.

A line is an object with custom_id, method, url and body (platform.openai.com/docs/api-reference/
batch/request-input), as accepted by `vllm run-batch` too. Each error is reported with its line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from jobs import parsing
from ktclient import wording
from ktclient.documents import document as documents
from ktclient.errors import DocumentUnusable
from ktclient.request import body as request_body
from ktclient.request.body import Body
from ktclient.wording import quote

MOST_LINES = 50_000
MOST_BYTES = 200_000_000
"""OpenAI's limits for a file (platform.openai.com/docs/api-reference/batch/create)."""
MOST_ID_CHARACTERS = 512
"""OpenAI's limit is 64, others have none: an id is a key here, and part of each result."""
_MOST_TOLD = 10
_MOST_LEVELS = 400
"""Of a line, so that all of it can be shown. A body may have a hundred, which `body` checks."""


@dataclass(frozen=True)
class Line:
    """One request. `number` counts the file's lines from 1."""

    number: int
    custom_id: str
    body: bytes = field(repr=False)
    """The request body as written, by `body.Body.to_bytes`. What is sent has no turn marks."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a line, or with the whole file."""

    number: int | None
    message: str
    code: str = "invalid_request"
    """As OpenAI's batches name it."""
    param: str | None = None
    """The field of the line."""

    def __str__(self) -> str:
        return self.message if self.number is None else f"line {self.number}: {self.message}"


def read(name: str, *, stdin: BinaryIO | None = None) -> tuple[Line, ...]:
    """The requests of a file, or of standard input for "-". Raises `DocumentUnusable` with all
    errors in the file."""
    if name == documents.STDIN:
        if stdin is None and sys.stdin is None:
            raise DocumentUnusable("standard input is closed; name a file of requests")
        return parse(_all_of(stdin or sys.stdin.buffer, "standard input"), "standard input")
    if not name:
        raise DocumentUnusable("the file name is empty; name a file of requests")
    title = documents.display_name(name)
    try:
        with Path(name).open("rb") as file:
            return parse(_all_of(file, title), title)
    except IsADirectoryError:
        raise DocumentUnusable(f"{title} is a folder; name a file of requests") from None
    except FileNotFoundError:
        raise DocumentUnusable(f"file not found: {title}") from None
    except (OSError, ValueError) as error:
        raise DocumentUnusable(f"cannot read {title}: {wording.reason(error)}") from None


def _all_of(file: BinaryIO, title: str) -> bytes:
    body = file.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise DocumentUnusable(
            f"{title} is larger than {MOST_BYTES // 1_000_000} MB, the maximum; split it "
            "(`split -C 150M FILE`), and run each part"
        )
    return body


def parse(body: bytes, title: str) -> tuple[Line, ...]:
    """The requests in these bytes; blank lines are skipped. Raises `DocumentUnusable`."""
    lines, wrong = examine(body)
    if wrong:
        raise refusal(title, [str(one) for one in wrong])
    if not lines:
        raise DocumentUnusable(f"{title} contains no request; nothing was stored")
    return lines


def examine(body: bytes) -> tuple[tuple[Line, ...], list[Problem]]:
    """The requests in these bytes, and what is wrong with the other lines."""
    lines: list[Line] = []
    wrong: list[Problem] = []
    seen: dict[str, int] = {}
    for number, raw in enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not raw.strip():
            continue
        found = _line(number, raw, seen)
        if isinstance(found, Line):
            lines.append(found)
        else:
            wrong += found
        if len(seen) > MOST_LINES:
            words = f"more than {MOST_LINES:,} requests; split the file"
            wrong.append(Problem(number, words, "too_many_tasks"))
            break
    return tuple(lines), wrong


def refusal(title: str, wrong: list[str]) -> DocumentUnusable:
    """The error for a file, with one line for each problem."""
    listed = "".join(f"\n  {one}" for one in wrong[:_MOST_TOLD])
    more = len(wrong) - _MOST_TOLD
    rest = f"\n  and {more:,} more" if more > 0 else ""
    return DocumentUnusable(f"{title} cannot be used, and nothing was stored:{listed}{rest}")


def _line(number: int, raw: bytes, seen: dict[str, int]) -> Line | list[Problem]:
    """One request, or its problems. `seen`: custom_id -> number of its line."""
    try:
        found = parsing.of_json(raw.decode(), levels=_MOST_LEVELS)
    except UnicodeDecodeError as error:
        return _no_json(number, f"not UTF-8 (byte {error.start + 1} of the line)")
    except json.JSONDecodeError as error:
        return _no_json(number, f"not JSON: {error.msg} (column {error.colno})")
    except parsing.Unusable as error:
        return _no_json(number, str(error))
    if not isinstance(found, dict):
        return _no_json(number, "not a JSON object with custom_id, method, url and body")
    wrong = [*_in_id(found.get("custom_id"), number, seen), *_in_head(found, number)]
    body = found.get("body")
    if not isinstance(body, dict):
        return [*wrong, Problem(number, "body is not a JSON object", param="body")]
    wrong += [Problem(number, one, param="body") for one in request_body.problems(body)]
    if wrong:
        return wrong
    try:
        return Line(number, found["custom_id"], Body(body).to_bytes())
    except UnicodeEncodeError:
        return [Problem(number, "the body contains a lone surrogate", param="body")]
    except ValueError:
        return [Problem(number, "the body contains a number that is too large", param="body")]


def _no_json(number: int, words: str) -> list[Problem]:
    return [Problem(number, words, "invalid_json_line")]


def _in_id(custom_id: object, number: int, seen: dict[str, int]) -> Iterator[Problem]:
    param = "custom_id"
    if not isinstance(custom_id, str) or not custom_id:
        words = "custom_id is missing" if custom_id in (None, "") else "custom_id is not a string"
        yield Problem(number, words, "missing_required_parameter", param)
        return
    if len(custom_id) > MOST_ID_CHARACTERS:
        words = f"custom_id is longer than {MOST_ID_CHARACTERS} characters"
        yield Problem(number, words, param=param)
    if any("\ud800" <= character <= "\udfff" for character in custom_id):
        yield Problem(number, "custom_id contains a lone surrogate", param=param)
    if (first := seen.setdefault(custom_id, number)) != number:
        words = f"custom_id {quote(custom_id)} is already used in line {first}"
        yield Problem(number, words, "duplicate_custom_id", param)


def _in_head(found: dict[str, Any], number: int) -> Iterator[Problem]:
    if found.get("method") != "POST":
        method = found.get("method")
        words = (
            "method is missing; it must be POST"
            if method is None
            else (f"method is {quote(json.dumps(method))}; it must be POST")
        )
        yield Problem(number, words, "invalid_method", "method")
    url = found.get("url")
    if url is None:
        words = f"url is missing; it must be {request_body.URL}"
        yield Problem(number, words, "missing_required_parameter", "url")
    elif url != request_body.URL:
        words = f"url is {quote(json.dumps(url))}; it must be {request_body.URL}"
        yield Problem(number, words, "invalid_url", "url")
