"""uvicorn's line for an answered request: `INFO:     127.0.0.1:4042 - "GET / HTTP/1.1" 200 OK`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from server_bundle.logs.line import Line

_ACCESS = re.compile(
    r'INFO: +(\S{1,100}) - "([A-Z]{1,10}) (\S{1,2000}) HTTP/[\d.]{1,5}" (\d{3})\b', re.ASCII
)


@dataclass(frozen=True)
class HttpAnswer:
    """The server sent a status line. For a stream that is the beginning of the answer, in sglang-kt
    also the beginning of the prefill."""

    peer: str
    method: str
    path: str
    """Including the query."""
    status: int


def read(line: Line) -> HttpAnswer | None:
    """The answer in a line; None for any other line."""
    found = _ACCESS.match(line.text)
    return HttpAnswer(found[1], found[2], found[3], int(found[4])) if found else None
