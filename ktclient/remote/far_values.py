"""Values that a command on another machine printed: any of them may be anything. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

from jobs import parsing
from ktclient.errors import HostTrouble

_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_MOST_IDS = 100_000
"""Of one submit: a thousand documents, with a hundred questions each."""
_CURE = "check that ktjob there is as new as this one"
_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "dict[str, object]": (dict,),
    "tuple[str, ...]": (list, tuple),
    "tuple[int, ...]": (list, tuple),
    "None": (type(None),),
}
"""Of the fields of a record, by their annotation, as they come out of JSON."""
Record = TypeVar("Record")
_NONE: Mapping[str, type] = {}


def ids(text: str) -> list[str]:
    """The ids of jobs, one in a line. Raises `HostTrouble` for anything else."""
    found = text.split(maxsplit=_MOST_IDS)
    if not found or not all(map(_ID.fullmatch, found)):
        raise HostTrouble(f"the reply is no job's id; {_CURE}")
    return found


def json_object(text: str) -> dict[str, object]:
    """A JSON object. Raises `HostTrouble`."""
    try:
        found = parsing.of_json(text)
    except parsing.Unusable as error:
        raise HostTrouble(f"the reply cannot be used: {error}; {_CURE}") from None
    except ValueError:
        raise HostTrouble(f"the reply is not JSON; {_CURE}") from None
    if not isinstance(found, dict):
        raise HostTrouble(f"the reply is not a job; {_CURE}")
    return found


def record_of(
    kind: type[Record], given: Mapping[str, object], inner: Mapping[str, type] = _NONE
) -> Record:
    """A record of a kind from JSON; fields of a newer ktjob are ignored. `inner`: the records that
    are fields of it, by the names of their classes. Raises `HostTrouble` if one is missing, or of
    another type."""
    values: dict[str, object] = {}
    for one in fields(kind):  # type: ignore[arg-type]
        if one.name in given:
            value = given[one.name]
            _check(one.name, value, str(one.type), inner)
            values[one.name] = _value(value, str(one.type), inner)
    try:
        return kind(**values)
    except TypeError as error:
        raise HostTrouble(f"the reply is not a job ({error}); update ktjob there") from None


def _value(value: object, annotation: str, inner: Mapping[str, type]) -> object:
    """The value as its record has it."""
    of = next((inner[one] for one in annotation.split(" | ") if one in inner), None)
    if of is not None and isinstance(value, dict):
        return record_of(of, value)
    return tuple(value) if isinstance(value, list) else value


def _check(name: str, value: object, annotation: str, inner: Mapping[str, type]) -> None:
    names = annotation.split(" | ")
    kinds = {**_TYPES, **dict.fromkeys(inner, (dict,))}
    allowed = [kind for one in names for kind in kinds[one]]
    is_right = isinstance(value, tuple(allowed)) and (
        bool in allowed or not isinstance(value, bool)
    )
    several = next((one for one in names if one.startswith("tuple")), "")
    if is_right and isinstance(value, list):
        kind = str if "str" in several else int
        is_right = all(type(one) is kind for one in value)
    if not is_right:
        raise HostTrouble(f"the reply is not a job ({name} is no {annotation}); {_CURE}")
