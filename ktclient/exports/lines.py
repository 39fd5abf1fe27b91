"""An export as JSON or JSON Lines, which `ktjob import` reads.

Each record says how many there are and which one it is, so that a file that was cut is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from jobs import clock
from ktclient._version import __version__
from ktclient.exports.record import VERSION, Exported
from ktclient.records.output_schema import SCHEMA

_LINE_ENDS = {number: f"\\u{number:04x}" for number in (0x85, 0x2028, 0x2029)}
"""JSON allows them in strings, but many readers take them for the end of a line."""


def json_lines(records: Iterable[Exported], count: int) -> Iterator[str]:
    """One record on each line."""
    for number, one in enumerate(records, 1):
        yield _record(one, number, count) + "\n"


def json_object(records: Iterable[Exported], count: int) -> Iterator[str]:
    """One object with all records in `jobs`, one on each line."""
    head = {"version": VERSION, "jobs": count, "at": clock.now(), "ktjob": __version__}
    yield f'{{"schema": {SCHEMA}, "export": {json.dumps(head)}, "jobs": ['
    for number, one in enumerate(records, 1):
        yield ("\n" if number == 1 else ",\n") + _record(one, number, count)
    yield "\n]}\n"


def _record(one: Exported, number: int, count: int) -> str:
    head = {"version": VERSION, "job": number, "of": count}
    record = {"schema": SCHEMA, "export": head, **one.to_dict()}
    return json.dumps(record, ensure_ascii=False).translate(_LINE_ENDS)
