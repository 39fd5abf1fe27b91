"""Tool calls, joined from the pieces in which a stream brings them. Pure.

OpenAI sends a call's id and name once, and its arguments bit by bit; `index` says to which call a
piece belongs. Others send each call whole with index 0 or without one (Ollama), repeat id and name
in each piece, give each piece a new id, or send the arguments as an object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

LEGACY = "function_call"
"""The field of a piece of a call that is none of a tool."""
CUSTOM = "custom"


class _Call:
    """One call, as far as it has come."""

    def __init__(self, place: int | None, identity: object) -> None:
        self.place, self.id = place, identity
        self.name: object = None
        self.is_custom = False
        """Whether its input is text, not JSON (OpenAI's custom tools)."""
        self._arguments: list[str] = []
        self._had_object = False
        self._taken = 0
        self._depth = 0
        self._is_in_text = self._is_escaped = False

    def taken(self) -> str:
        """The text of its arguments that came since the last time."""
        new, self._taken = self._arguments[self._taken :], len(self._arguments)
        return "".join(new)

    @property
    def is_complete(self) -> bool:
        """Whether the arguments are a whole object or list: another call may follow."""
        has_any = self._had_object or any(self._arguments)
        return has_any and self._depth == 0 and not self._is_in_text

    def add(self, identity: object, name: object, arguments: object) -> None:
        self.id = self.id or identity
        self.name = self.name or name
        if isinstance(arguments, str):
            self._add_text(arguments)
        elif arguments is not None:
            self._had_object = True
            if arguments != {}:
                self._add_text(json.dumps(arguments, ensure_ascii=False))

    def _add_text(self, text: str) -> None:
        """Counts brackets outside of strings, each character once."""
        self._arguments.append(text)
        for character in text:
            if self._is_escaped:
                self._is_escaped = False
            elif self._is_in_text:
                self._is_escaped = character == "\\"
                self._is_in_text = character != '"'
            elif character == '"':
                self._is_in_text = True
            else:
                self._depth += (character in "{[") - (character in "}]")

    def whole(self) -> dict[str, Any]:
        arguments = "".join(self._arguments) or ("{}" if self._had_object else "")
        if self.is_custom:
            custom = {"name": self.name, "input": arguments}
            return {"id": self.id, "type": CUSTOM, CUSTOM: custom}
        function = {"name": self.name, "arguments": arguments}
        return {"id": self.id, "type": "function", "function": function}


class _Calls:
    """All calls of an answer, found by place and id."""

    def __init__(self) -> None:
        self._all: list[_Call] = []
        self._last: dict[int | None, _Call] = {}
        self._by_id: dict[tuple[int | None, str], _Call] = {}

    def add(self, piece: dict[str, Any]) -> _Call:
        """The call that a piece belongs to, with it."""
        named = (piece.get(one) for one in ("function", CUSTOM))
        function: dict[str, Any] = next((one for one in named if isinstance(one, dict)), {})
        place, identity, name = piece.get("index"), piece.get("id"), function.get("name")
        place = place if isinstance(place, int) else None
        call = self._continued(place, identity, name)
        if call is None:
            self._all.append(call := _Call(place, identity))
            for at in {place, None}:
                self._last[at] = call
                self._by_id[at, str(identity)] = call
        call.is_custom |= function is piece.get(CUSTOM)
        call.add(identity, name, function.get("input" if call.is_custom else "arguments"))
        return call

    def place_of(self, call: _Call) -> int:
        """In the order in which calls began."""
        return next(place for place, one in enumerate(self._all) if one is call)

    def _continued(self, place: int | None, identity: object, name: object) -> _Call | None:
        """The call that a piece continues; None if it begins one."""
        if identity and (same := self._by_id.get((place, str(identity)))) is not None:
            return same
        last = self._last.get(place)
        if last is None or not name:
            return last
        is_other_name = last.name and (last.name != name or last.is_complete)
        return None if (identity and last.id) or is_other_name else last

    def whole(self) -> list[dict[str, Any]]:
        """In the order of their places, where each has its own; else as they came."""
        places = [call.place for call in self._all]
        if None not in places and len(set(places)) == len(places):
            self._all.sort(key=lambda call: call.place or 0)
        return [call.whole() for call in self._all]


def joined(pieces: str) -> list[dict[str, Any]]:
    """The calls in pieces: one JSON list of them per line. What is no piece of a call is passed
    over."""
    calls = _Calls()
    for line in pieces.split("\n"):
        for piece in json.loads(line or "[]"):
            if isinstance(piece, dict) and LEGACY not in piece:
                calls.add(piece)
    return calls.whole()


def legacy(pieces: str) -> dict[str, Any] | None:
    """The call of a model that was given `functions`, as OpenAI's interface was before tools; None
    if there is none."""
    call: _Call | None = None
    for line in pieces.split("\n"):
        for piece in json.loads(line or "[]"):
            told = piece.get(LEGACY) if isinstance(piece, dict) else None
            if isinstance(told, dict):
                call = call or _Call(None, None)
                call.add(None, told.get("name"), told.get("arguments"))
    return None if call is None else call.whole()["function"]


class CallDeltas:
    """The same pieces as a stream of OpenAI's brings them: each call has an index of its own, its
    id and name come once, and its arguments are text."""

    def __init__(self) -> None:
        self._calls = _Calls()
        self._told: dict[int, tuple[object, object]] = {}
        """The id and name that were told, by index."""
        self._has_legacy = False

    def of(self, pieces: str) -> Iterator[dict[str, Any]]:
        """The deltas of further pieces: one JSON list of them per line."""
        for line in pieces.split("\n"):
            for piece in json.loads(line or "[]"):
                if isinstance(piece, dict) and isinstance(piece.get(LEGACY), dict):
                    yield {LEGACY: self._legacy(piece[LEGACY])}
                elif isinstance(piece, dict) and LEGACY not in piece:
                    yield {"tool_calls": [self._call(piece)]}

    def _call(self, piece: dict[str, Any]) -> dict[str, Any]:
        call = self._calls.add(piece)
        index = self._calls.place_of(call)
        told = self._told.get(index, (None, None))
        self._told[index] = (call.id, call.name)
        kind, words = (CUSTOM, "input") if call.is_custom else ("function", "arguments")
        inner: dict[str, Any] = {words: call.taken()}
        found: dict[str, Any] = {"index": index}
        if call.name and told[1] is None:
            inner = {"name": call.name, **inner}
        if told == (None, None) or (call.id and told[0] is None):
            found |= {"id": call.id, "type": kind}
        return {**found, kind: inner}

    def _legacy(self, told: dict[str, Any]) -> dict[str, Any]:
        arguments = told.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        found: dict[str, Any] = {"arguments": arguments or ""}
        if told.get("name") and not self._has_legacy:
            found = {"name": told["name"], **found}
            self._has_legacy = True
        return found
