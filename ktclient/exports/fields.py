"""The fields of a record that another machine wrote, each checked before it is used: what is
stored here is shown later, and must not break that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jobs import clock

_MOST = 2**53
"""Larger whole numbers are not the same in every JSON reader."""
_CONTROLS = {number: " " for number in (9, 10, 13)} | {
    number: "\ufffd" for number in (*range(32), *range(127, 160)) if number not in (9, 10, 13)
}
_CODE = re.compile("[a-z][a-z_]{0,60}")


class Unusable(ValueError):
    """A field is missing or not what it must be. The message continues "line 3: …"."""


class Fields:
    """One JSON object. `path` is its name in the record: "document." or empty."""

    def __init__(self, found: object, path: str = "") -> None:
        if not isinstance(found, dict):
            raise Unusable(f"{path.rstrip('.') or 'the record'} is no JSON object")
        self._found: Mapping[str, Any] = found
        self._path = path

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._found.get(name) is not None

    def text(self, name: str) -> str:
        """A text of any length, as it is."""
        value = self._found.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "no text")
        return value

    def line(self, name: str) -> str:
        """A text on one line, without control characters."""
        return self.text(name).translate(_CONTROLS)

    def line_or_none(self, name: str) -> str | None:
        return self.line(name) if self.has(name) else None

    def code(self, name: str) -> str | None:
        """A short code such as "server_died", or None."""
        found = self.line_or_none(name)
        if found is not None and not _CODE.fullmatch(found):
            raise self._wrong(name, "no code")
        return found

    def whole(self, name: str) -> int:
        """A whole number, 0 or larger."""
        value = self._found.get(name)
        if type(value) is not int or not 0 <= value < _MOST:
            raise self._wrong(name, "no whole number")
        return value

    def whole_or_none(self, name: str) -> int | None:
        return self.whole(name) if self.has(name) else None

    def number(self, name: str) -> float:
        """A number, 0 or larger."""
        value = self._found.get(name, -1)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 <= value < _MOST:
            raise self._wrong(name, "no number")
        return float(value)

    def moment(self, name: str) -> str:
        """A time, as the store has it."""
        try:
            then = clock.moment(self.text(name))
            if then.tzinfo is None:
                raise ValueError
            return clock.of(then)
        except (ValueError, OverflowError):
            raise self._wrong(name, "no time in UTC") from None

    def moment_or_none(self, name: str) -> str | None:
        return self.moment(name) if self.has(name) else None

    def lines(self, name: str) -> tuple[str, ...]:
        """Texts on one line each; none if the field is missing."""
        return tuple(one.translate(_CONTROLS) for one in self.texts(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Texts, as they are; none if the field is missing."""
        found = self._list(name)
        if not all(isinstance(one, str) for one in found):
            raise self._wrong(name, "no list of texts")
        return tuple(found)

    def inner(self, name: str) -> Fields:
        """An object in this one; empty if it is missing."""
        return Fields(self._found[name] if self.has(name) else {}, f"{self._path}{name}.")

    def inners(self, name: str) -> list[Fields]:
        """A list of objects; none if the field is missing."""
        return [Fields(one, f"{self._path}{name}.") for one in self._list(name)]

    def whole_numbers(self, name: str) -> list[int]:
        """A list of whole numbers, 0 or larger; none if the field is missing."""
        found = self._list(name)
        if not all(type(one) is int and 0 <= one < _MOST for one in found):
            raise self._wrong(name, "no list of whole numbers")
        return list(found)

    def names(self) -> Sequence[str]:
        return list(self._found)

    def value(self, name: str) -> object:
        """Whatever it is, with texts on one line."""
        return _tidy(self._found.get(name))

    def raw(self, name: str) -> Any:
        """Whatever it is."""
        return self._found.get(name)

    def _list(self, name: str) -> list[Any]:
        found = self._found.get(name)
        if found is None:
            return []
        if not isinstance(found, list):
            raise self._wrong(name, "no list")
        return found

    def _wrong(self, name: str, what: str) -> Unusable:
        return Unusable(f"{self._path}{name} is missing or {what}")


def _tidy(value: object) -> object:
    if isinstance(value, str):
        return value.translate(_CONTROLS)
    if isinstance(value, list):
        return [_tidy(one) for one in value]
    if isinstance(value, dict):
        return {str(name).translate(_CONTROLS): _tidy(one) for name, one in value.items()}
    return value
