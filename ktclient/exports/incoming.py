"""A file that `ktjob export` wrote, on its way into this machine's store."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from jobs import parsing
from jobs.store.state_dir import StateDir
from jobs.upkeep.imports import EndedJob, Imports, Stored
from ktclient import wording
from ktclient.errors import BadInput
from ktclient.exports import ended_job
from ktclient.exports.fields import Fields, Unusable
from ktclient.exports.record import VERSION

STDIN = "-"
MOST_BYTES = 1_000_000_000
"""Of one file, which is checked as a whole before anything is stored: in memory it takes up to
three times that."""
_WORD = re.compile(rb"\S")
_FOREIGN = (
    "it is no export of ktjob in JSON or JSON Lines. To write one: "
    "ktjob export --all --with-documents -o jobs.jsonl"
)


def store(state: StateDir, path: str, *, incomplete: bool = False) -> list[Stored]:
    """Store the jobs of a file, all of them or none. `incomplete`: also of a file that was cut or
    from which records were removed. Raises `BadInput` for a file that is damaged or none of ours,
    and `StoreUnusable`."""
    jobs = read(path, incomplete=incomplete)
    with Imports.open(state) as imports:
        return imports.add(jobs)


def read(path: str, *, incomplete: bool = False) -> list[EndedJob]:
    """The jobs of a file, checked. Raises `BadInput`."""
    name = "standard input" if path == STDIN else path
    try:
        content = _content(path)
        return _jobs(_whole_lines(content) if incomplete else content, incomplete=incomplete)
    except OSError as error:
        raise BadInput(f"cannot read {name}: {error.strerror or error}") from None
    except Unusable as error:
        raise BadInput(f"cannot import {name}: {error}. Nothing was imported") from None


def _content(path: str) -> bytes:
    if path == STDIN:
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise Unusable(
            f"it has more than {MOST_BYTES:,} bytes. Export fewer jobs at a time, for example with "
            "--since and --until, or without --with-documents"
        )
    return content


def _jobs(content: bytes, *, incomplete: bool) -> list[EndedJob]:
    found, heads = [], []
    for place, record in _records(content):
        try:
            fields = Fields(record)
            heads.append(_head(fields))
            found.append(ended_job.of_record(fields))
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Unusable(f"{place}: it has characters that are no Unicode") from None
        except Unusable as error:
            raise Unusable(f"{place}: {error}") from None
    if not found:
        raise Unusable("it has no jobs")
    if not incomplete:
        _require_all(heads)
    return found


def _records(content: bytes) -> Iterator[tuple[str, object]]:
    """Where each record is, and the record. Raises `Unusable`."""
    begun = _WORD.search(content)
    if begun is None:
        raise Unusable("it is empty")
    end = content.find(b"\n", begun.start())
    first = content[begun.start() : None if end < 0 else end]
    head = _parsed_or_none(first)
    if isinstance(head, dict) and "jobs" not in head:
        yield from _of_lines(content)
        return
    is_one_line = end < 0 or _WORD.search(content, end) is None
    whole = head if head is not None and is_one_line else _parsed_or_none(content)
    if not isinstance(whole, dict) or not isinstance(whole.get("jobs"), list):
        is_cut = first.startswith(b'{"schema"') and b'"export"' in first[:200]
        raise Unusable("it is damaged: its JSON does not end well" if is_cut else _FOREIGN)
    for number, record in enumerate(whole["jobs"], 1):
        yield f"job {number}", record


def _whole_lines(content: bytes) -> bytes:
    """JSON Lines without a last line that was cut: there is no line end after it."""
    end = content.rfind(b"\n") + 1
    begun = _WORD.search(content, 0, end)
    if begun is None or not content[end:].strip() or _parsed_or_none(content[end:]) is not None:
        return content
    first = _parsed_or_none(content[begun.start() : content.find(b"\n", begun.start())])
    return content[:end] if isinstance(first, dict) else content


def _of_lines(content: bytes) -> Iterator[tuple[str, object]]:
    lines = _lines(content)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = _parsed_or_none(line)
        if record is None:
            is_last = number > 1 and next(lines, None) is None
            left = ". To import the lines before it, add --incomplete" if is_last else ""
            raise Unusable(f"line {number}: it is no JSON; the file was cut or changed{left}")
        yield f"line {number}", record


def _lines(content: bytes) -> Iterator[bytes]:
    """One after another, not all of them beside the content."""
    start = 0
    while start <= len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        yield content[start:end]
        start = end + 1


def _parsed_or_none(text: bytes) -> object:
    try:
        return parsing.of_json(text)
    except (ValueError, UnicodeDecodeError):
        return None


def _head(fields: Fields) -> tuple[int, int]:
    """Which record of how many it is. Raises `Unusable`."""
    if not fields.has("export"):
        raise Unusable(_FOREIGN)
    head = fields.inner("export")
    if (version := head.whole("version")) > VERSION:
        raise Unusable(f"it was written by a newer ktjob (format {version}); update ktjob first")
    return head.whole("job"), head.whole("of")


def _require_all(heads: list[tuple[int, int]]) -> None:
    """Each record is there, in order; a file may be several exports, one after another."""
    expected, of = 1, None
    for number, count in heads:
        if number != expected or (of is not None and count != of):
            raise _missing(f"after record {expected - 1} comes record {number} of {count}")
        expected, of = (1, None) if number == count else (number + 1, count)
    if of is not None:
        raise _missing(f"it ends after {wording.count(expected - 1, 'record')} of {of:,}")


def _missing(what: str) -> Unusable:
    return Unusable(
        f"records are missing: {what}. To import those that are there, add --incomplete"
    )
