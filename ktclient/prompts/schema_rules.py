"""What no schema may contain, although JSON Schema allows it: references that end nowhere, that no
inference server follows, or patterns whose check may take for ever. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

MOST_LEVELS = 100
"""Nested values: about fifty objects in one another."""
MOST_PATTERN_CHARACTERS = 1000
_DYNAMIC = {
    "$dynamicRef": "$dynamicAnchor",
    "$recursiveRef": "$recursiveAnchor",
}
_VALUES = ("const", "default", "enum", "examples", "example")
"""Keywords whose values are data, not schemas."""
_NAMED = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")
"""Keywords whose values are objects of named schemas."""
_SAME_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
"""Keywords whose schemas are applied to the value itself, not to a part of it."""
_ENDLESS = re.compile(r"[*+]|\{\d+,\}")
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\()|]", re.S)
_GROUP = re.compile(r"\((?:\?(?::|P?<\w+>))?")


def problem(schema: Mapping[str, object]) -> str | None:
    """Why a schema cannot be used, as the end of a sentence that begins with its name; None if it
    can. References to other places are not looked at."""
    for one in schemas(schema):
        for keyword, anchor in _DYNAMIC.items():
            if keyword in one:
                return (
                    f"uses {keyword}, which inference servers do not follow: give the schema "
                    f"that it means a name under $defs instead of {anchor}, and write "
                    '{"$ref": "#/$defs/NAME"}'
                )
        for pattern in _patterns(one):
            if reason := _of_pattern(pattern):
                return reason
    return _of_circles(schema)


def schemas(value: object) -> Iterator[Mapping[str, object]]:
    """The schema and all schemas in it, without what is data."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            yield one
            for keyword, inner in one.items():
                if keyword in _NAMED and isinstance(inner, dict):
                    waiting += inner.values()
                elif keyword not in _VALUES:
                    waiting.append(inner)


def _patterns(schema: Mapping[str, object]) -> Iterator[str]:
    if isinstance(pattern := schema.get("pattern"), str):
        yield pattern
    if isinstance(named := schema.get("patternProperties"), dict):
        yield from named


def _of_pattern(pattern: str) -> str | None:
    if len(pattern) > MOST_PATTERN_CHARACTERS:
        return (
            f"has a pattern of more than {MOST_PATTERN_CHARACTERS:,} characters: use enum for a "
            "list of texts, or check the texts afterwards"
        )
    if group := _repeated_twice(pattern):
        return (
            f"has the pattern part {group!r}, which repeats a repetition: a check against it may "
            "never end. Write the repetition once, as a+ for (a+)+"
        )
    return None


def _repeated_twice(pattern: str) -> str | None:
    """A group that is repeated without limit and contains only a repetition without limit."""
    at = 0
    while at < len(pattern):
        if found := _GROUP.match(pattern, at):
            if end := _end_of_repeated(pattern, found.end()):
                return pattern[at:end]
            at = found.end()
        else:
            atom = _ATOM.match(pattern, at)
            at = atom.end() if atom else at + 1
    return None


def _end_of_repeated(pattern: str, start: int) -> int | None:
    atom = _ATOM.match(pattern, start)
    inner = atom and _ENDLESS.match(pattern, atom.end())
    if not inner or pattern[inner.end() : inner.end() + 1] != ")":
        return None
    outer = _ENDLESS.match(pattern, inner.end() + 1)
    return outer.end() if outer else None


Applied = Iterator[tuple[str, object]]


def _of_circles(root: Mapping[str, object]) -> str | None:
    """A circle of references that never comes to a part of the value has no end."""
    every = list(schemas(root))
    named = {f"#{one['$anchor']}": one for one in every if isinstance(one.get("$anchor"), str)}
    circles = _Circles(root, named)
    for schema in every:
        reference = circles.closing(schema)
        if reference is not None:
            return (
                f"refers to {reference!r}, which leads back to itself: put the reference into "
                "properties or items, so that each turn describes a smaller part"
            )
    return None


class _Circles:
    """Looks for circles from one schema after the other; each schema is entered once."""

    def __init__(self, root: object, named: Mapping[str, object]) -> None:
        self._root, self._named = root, named
        self._done: set[int] = set()
        self._open: set[int] = set()
        self._path: list[tuple[int, Applied]] = []

    def closing(self, start: Mapping[str, object]) -> str | None:
        """The reference, or keyword, that closes a circle from here; None if there is none."""
        self._enter(start)
        while self._path:
            name, following = self._path[-1]
            reference, after = next(following, ("", None))
            if not reference:
                self._path.pop()
                self._open.discard(name)
                self._done.add(name)
            elif id(after) in self._open:
                return reference
            elif isinstance(after, dict):
                self._enter(after)
        return None

    def _enter(self, schema: Mapping[str, object]) -> None:
        if id(schema) not in self._done:
            self._open.add(id(schema))
            self._path.append((id(schema), self._applied(schema)))

    def _applied(self, schema: Mapping[str, object]) -> Applied:
        """The schemas that are applied to the same value, each with the reference or keyword."""
        if isinstance(reference := schema.get("$ref"), str):
            yield reference, self._place(reference)
        for keyword in _SAME_PLACE:
            inner = schema.get(keyword)
            for one in inner if isinstance(inner, list) else [inner]:
                yield keyword, one
        if isinstance(dependent := schema.get("dependentSchemas"), dict):
            for one in dependent.values():
                yield "dependentSchemas", one

    def _place(self, reference: str) -> object:
        """What a reference within the schema leads to; None for any other."""
        if reference != "#" and not reference.startswith("#/"):
            return self._named.get(reference)
        found = self._root
        for part in unquote(reference).split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = found.get(name)
            elif isinstance(found, list) and name.isascii() and name.isdigit() and len(name) < 6:
                found = found[int(name)] if int(name) < len(found) else None
            else:
                return None
        return found
