"""What people read of a record, for every format: its heading, its facts, where its parts are."""

from __future__ import annotations

from jobs import durations
from ktclient import wording
from ktclient.exports.record import Exported

MOST_HEADING = 200
_FIGURES = (
    ("prompt_tokens", "tokens read"),
    ("cached_tokens", "of which cached"),
    ("completion_tokens", "tokens written"),
    ("thought_tokens", "of which thinking"),
)


def heading(one: Exported) -> str:
    """The document's name and what was asked, on one line."""
    line = " ".join(f"{one.document.name}: {one.asked}".split())
    return line if len(line) <= MOST_HEADING else line[: MOST_HEADING - 1] + "…"


def why(one: Exported) -> str | None:
    """Why there is no answer, or only a part of it; None if it is whole."""
    if one.state != "SUCCEEDED":
        reason = " ".join((one.message or "no reason is known").split())
        return f"{one.state.lower()}: {reason}"
    if one.figures.get("finish_reason") == "length":
        return f"cut off at {one.max_tokens:,} tokens"
    return None


def facts(one: Exported) -> list[tuple[str, str]]:
    """Names and values, in order; what is unknown is left out."""
    found: list[tuple[str, str | None]] = [
        ("job", f"{one.id} ({one.state})"),
        ("document", f"{one.document.name} ({wording.count(one.document.bytes, 'byte')})"),
        ("SHA-256", one.document.sha256),
        ("model", one.model),
        ("server", one.server),
        ("label", one.label),
        ("group", one.group),
        ("submitted", one.created_at),
        ("finished", one.finished_at),
        ("took", None if one.seconds is None else f"{durations.exact(one.seconds)} s"),
        ("first token", _seconds(one, "first_token_seconds")),
        ("tokens", _tokens(one)),
        ("imported", _origin(one)),
        *(("note", remark) for remark in one.remarks),
    ]
    return [(name, " ".join(value.split())) for name, value in found if value]


def _seconds(one: Exported, name: str) -> str | None:
    value = one.figures.get(name)
    return f"after {durations.exact(value)} s" if isinstance(value, (int, float)) else None


def _tokens(one: Exported) -> str | None:
    counts = [(one.figures.get(name), words) for name, words in _FIGURES]
    return ", ".join(f"{n:,} {words}" for n, words in counts if isinstance(n, int) and n) or None


def _origin(one: Exported) -> str | None:
    return None if one.imported is None else f"{one.imported['at']}, as job {one.imported['id']}"


def sources(one: Exported) -> list[tuple[str, str]]:
    """What [n] in an answer cites: the part's name, and where it is in the document."""
    found = []
    for part in one.parts:
        start, end, title = part.get("start"), part.get("end"), str(part.get("title") or "")
        if isinstance(start, int) and isinstance(end, int):
            place = f"characters {start:,} to {end:,}, {str(part.get('state')).lower()}"
            title = " ".join(title.split())
            found.append((f"[{part.get('part')}]", f"{title}, {place}" if title else place))
    return found
