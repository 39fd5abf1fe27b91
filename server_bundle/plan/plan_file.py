"""A launch plan as a file: written by `ktserver plan --json`, run by `ktserver up --plan`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from jobs import parsing
from server_bundle.plan.launch_plan import LaunchPlan

MOST_BYTES = 1_000_000
"""Of a file: a command line and its environment have a few thousand."""
_TUPLES = ("prefix", "argv")
_OPTIONAL: dict[str, Any] = {
    "version": None,
    "prefix": (),
    "environment": {},
    "context": None,
    "planned_pool": None,
    "planned_reserved": None,
    "warmup_tokens": 0,
    "gpus": 0,
    "ready_seconds": 1800.0,
}
"""Defaults of the fields that a hand-written plan may omit. 30 minutes allow for a slow disk."""
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "tuple[str, ...]": (list, tuple),
    "dict[str, str]": (dict,),
}


def to_json(plan: LaunchPlan) -> str:
    """The plan as a JSON object with the field names of `LaunchPlan`."""
    return json.dumps(dataclasses.asdict(plan), indent=1)


def from_json(text: str) -> LaunchPlan:
    """Parse a plan. Raises `ValueError` that names the invalid field and the reason."""
    data = parsing.of_json(text)
    if not isinstance(data, dict):
        raise ValueError("a launch plan must be a JSON object")
    fields = {field.name: str(field.type) for field in dataclasses.fields(LaunchPlan)}
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; known fields are {', '.join(fields)}")
    data = {**_OPTIONAL, **data}
    missing = [name for name in fields if name not in data]
    if missing:
        raise ValueError(f"the field {missing[0]!r} is missing")
    for name, kind in fields.items():
        data[name] = _checked(name, data[name], kind)
    if not data["argv"] or data["port"] < 1:
        raise ValueError("argv must not be empty, and port must be at least 1")
    return LaunchPlan(**data)


def _checked(name: str, value: object, kind: str) -> object:
    is_right = isinstance(value, _KINDS[kind]) and not isinstance(value, bool)
    parts = (
        value
        if isinstance(value, (list, tuple))
        else value.values()
        if isinstance(value, dict)
        else ()
    )
    if not is_right or not all(isinstance(part, str) and "\0" not in part for part in parts):
        raise ValueError(f"the field {name!r} is {value!r}; it must be of type {kind}")
    return tuple(parts) if name in _TUPLES else value


def load(path: Path) -> LaunchPlan:
    """Read a plan file. Raises OSError and ValueError."""
    return from_json(parsing.read_text(path, MOST_BYTES))
