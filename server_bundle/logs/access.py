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
    """The status line went out. Of a stream that is its beginning, and in sglang-kt the beginning
    of the prefill too."""

    peer: str
    method: str
    path: str
    """With its query."""
    status: int


def read(line: Line) -> HttpAnswer | None:
    """None when it is another line."""
    found = _ACCESS.match(line.text)
    return HttpAnswer(found[1], found[2], found[3], int(found[4])) if found else None
