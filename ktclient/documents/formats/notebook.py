"""Jupyter notebooks (nbformat 3 and 4): text, code and the text of its outputs, in the order of the
cells, without pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ktclient import wording
from ktclient.documents.formats.left_out import LeftOut
from ktclient.documents.formats.limits import Unreadable
from ktclient.documents.formats.markup import words

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_DATA = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=-]+)*;base64,[A-Za-z0-9+/=%\s]{16,}")
_TEXTS = ("text/markdown", "text/plain", "text/latex", "text/html", "application/json")
"""What an output is taken from, the best first."""
_LANGUAGE = re.compile(r"[A-Za-z0-9+#_-]{1,30}")


def read(body: bytes) -> tuple[str, str]:
    """Markdown. Raises `Unreadable`."""
    try:
        data = json.loads(body.decode("utf-8-sig"))
        cells = _cells(data)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise Unreadable(
            f"looks like a Jupyter notebook and is none ({type(error).__name__}); --raw sends it "
            "as it is"
        ) from None
    left = LeftOut()
    reader = _Reader(_language(data), left)
    parts = [part for cell in cells for part in reader.cell(cell) if part.strip()]
    if not parts:
        raise Unreadable("contains no text: its cells are empty")
    return "\n\n".join(parts), f"{wording.count(len(cells), 'cell')}{left.words()}"


def _cells(data: Any) -> list[dict[str, Any]]:
    sheets = data.get("worksheets", [data])
    return [cell for sheet in sheets for cell in sheet["cells"] if isinstance(cell, dict)]


def _language(data: Any) -> str:
    described = data.get("metadata", {})
    for kind, name in (("language_info", "name"), ("kernelspec", "language")):
        found = described.get(kind, {}).get(name) if isinstance(described, dict) else None
        if isinstance(found, str) and _LANGUAGE.fullmatch(found):
            return found
    return "python"


def _text(value: Any) -> str:
    """A string, or a list of its lines, as both are written."""
    if isinstance(value, list):
        return "".join(str(one) for one in value)
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


class _Reader:
    """Reads cells, and counts what is left out."""

    def __init__(self, language: str, left: LeftOut) -> None:
        self._language, self._left = language, left

    def cell(self, cell: dict[str, Any]) -> Iterator[str]:
        """Its text; of code also what it printed."""
        kind = cell.get("cell_type")
        source = self._without_data(_text(cell.get("source", cell.get("input"))))
        attached = cell.get("attachments")
        self._left.add("picture", len(attached) if isinstance(attached, dict) else 0)
        if kind == "heading":
            yield f"{'#' * int(cell.get('level', 1))} {source}"
        elif kind == "code":
            yield _fenced(source, self._language)
            outputs = cell.get("outputs")
            for output in outputs if isinstance(outputs, list) else []:
                yield from self._output(output)
        else:
            yield source

    def _output(self, output: Any) -> Iterator[str]:
        if not isinstance(output, dict):
            return
        kind = output.get("output_type")
        if kind == "stream":
            yield self._printed(_text(output.get("text")))
        elif kind in ("error", "pyerr"):
            trace = _text([f"{line}\n" for line in output.get("traceback") or []])
            yield self._printed(trace or f"{output.get('ename')}: {output.get('evalue')}")
        else:
            data = output.get("data", output)
            yield from self._shown(data if isinstance(data, dict) else {})

    def _shown(self, data: dict[str, Any]) -> Iterator[str]:
        """The best form of a result; of a picture there is none. nbformat 3 has short names."""
        by_type = {_OLD.get(name, name): value for name, value in data.items()}
        pictures = [name for name in by_type if name.startswith("image/")]
        self._left.add("picture", int(bool(pictures)))
        best = next((name for name in _TEXTS if _text(by_type.get(name)).strip()), None)
        if best is None:
            named = [name for name in by_type if "/" in name and name not in pictures]
            self._left.add("output", int(bool(named)))
            return
        text = _text(by_type[best])
        if best == "text/html":
            text = words.of(text)[0]
        text = self._without_data(text)
        if best == "text/markdown":
            yield text
        elif not (pictures and re.fullmatch(r"<[^<>]*>", text.strip())):  # <Figure size 640x480>
            yield self._printed(text)

    def _without_data(self, text: str) -> str:
        text, number = _DATA.subn("data", text)
        self._left.add("picture", number)
        return text

    def _printed(self, text: str) -> str:
        return _fenced(self._without_data(_COLOUR.sub("", text)), "")


_OLD = {
    "text": "text/plain",
    "html": "text/html",
    "latex": "text/latex",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "svg": "image/svg+xml",
}


def _fenced(text: str, language: str) -> str:
    if not text.strip():
        return ""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"
