"""The long texts of a request are stored once: in the body that is sent. What the answers repeat of
it is stored without them, and gets them back from there. Pure but for one read of the store.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobs.model import Job
from jobs.store.http.store import HttpStore

LEAST = 200
"""Characters of a text that is stored once only."""
_TEXTS = "texts"
"""The field with the places: pairs of a path in the fields and one in the body."""

Fields = dict[str, Any]
Path = tuple[str | int, ...]


def without(fields: Mapping[str, Any], names: tuple[str, ...], body: Fields) -> Fields:
    """The same fields; in those of these names, texts that the body has too are taken out."""
    places = {text: path for path, text in _long(body.get("messages"), ("messages",))}
    found: Fields = {**fields, **{name: copy.deepcopy(fields.get(name)) for name in names}}
    taken = [
        (path, places[text])
        for name in names
        for path, text in _long(found.get(name), (name,))
        if text in places
    ]
    for path, _ in taken:
        _put(found, path, "")
    return {**found, _TEXTS: taken}


def restored(fields: Mapping[str, Any], body: Fields) -> Fields:
    """The opposite."""
    found: Fields = copy.deepcopy(dict(fields))
    for path, place in found.pop(_TEXTS, []):
        text: Any = body
        for step in place:
            text = text[step]
        _put(found, path, text)
    return found


def whole(store: HttpStore, job: Job, fields: Mapping[str, Any]) -> Fields:
    """The fields of a job's request with all their texts."""
    if not fields.get(_TEXTS):
        return dict(fields)
    return restored(fields, json.loads(store.document(job.document)))


def _long(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        if len(value) >= LEAST:
            yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _long(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _long(inner, (*path, place))


def _put(fields: Any, path: Sequence[str | int], text: str) -> None:
    *before, last = path
    for step in before:
        fields = fields[step]
    fields[last] = text
