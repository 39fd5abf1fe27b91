"""An export as CSV that LibreOffice and Excel open as a table of texts and numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from ktclient.exports.record import Exported

_BOM = "\ufeff"
"""Without it, Excel reads the file in the code page of the machine."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
"""A cell that begins so may be run as a formula, also one in full width
(owasp.org/www-community/attacks/CSV_Injection)."""
_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens", "thought_tokens")
_SECONDS = ("first_token_seconds", "decode_seconds")
_TEXTS = ("id", "state", "document", "sha256", "task", "question", "answer")
_MORE = ("model", "server", "label", "group", "submitted", "started", "finished")
_END = ("finish_reason", "cause", "message", "imported")


def pieces(
    records: Iterable[Exported], *, documents: bool = False, thoughts: bool = False
) -> Iterator[str]:
    """The file, row by row. Columns of documents and thoughts only where they are exported."""
    asked = (*(["document_text"] if documents else []), *(["thoughts"] if thoughts else []))
    names = (*_TEXTS, *_MORE, "seconds", *_TOKENS, *_SECONDS, *_END, *asked)
    yield _BOM + _row(names)
    for one in records:
        yield _row([_cell(value) for value in _values(one, documents, thoughts)])


def _values(one: Exported, documents: bool, thoughts: bool) -> Iterator[object]:
    yield from (one.id, one.state, one.document.name, one.document.sha256, one.task)
    yield "\n".join(one.questions) or one.instruction
    yield one.shown
    yield from (one.model, one.server, one.label, one.group)
    yield from (one.created_at, one.started_at, one.finished_at)
    yield None if one.seconds is None else round(one.seconds, 3)
    yield from (one.figures.get(name) for name in (*_TOKENS, *_SECONDS))
    yield from (one.figures.get("finish_reason"), one.cause, one.message)
    yield None if one.imported is None else one.imported["at"]
    if documents:
        yield one.document.text
    if thoughts:
        yield one.thoughts


def _cell(value: object) -> object:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    words = str(value).replace("\0", "\ufffd")  # no CSV reader takes it
    return f"'{words}" if words.startswith(_FORMULA) else words


def _row(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
