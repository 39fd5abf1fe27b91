"""Checks of single fields. Each raises `ApiError` 400 with the field's path in `param`. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from ktclient.gateway.wire.errors import ApiError
from ktclient.wording import quote

WRONG_TYPE, WRONG_VALUE = "invalid_type", "invalid_value"
UNSUPPORTED = "unsupported_parameter"
MOST_PAIRS, MOST_KEY, MOST_VALUE = 16, 64, 512
"""Of metadata: pairs, and characters (platform.openai.com/docs/api-reference/responses/create)."""


def wrong(param: str, words: str, code: str = WRONG_VALUE) -> ApiError:
    """The error for a field."""
    return ApiError(400, f"{param}: {words}", code=code, param=param)


def text(value: object, param: str) -> str:
    """A string without what no request can hold."""
    if not isinstance(value, str):
        raise wrong(param, "this is not a string", WRONG_TYPE)
    if "\0" in value:
        raise wrong(param, "this is not text: it contains NUL characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise wrong(param, "this is not text: it contains a lone surrogate") from None
    return value


def text_or_none(fields: dict[str, Any], name: str, prefix: str = "") -> str | None:
    """A field that is a string, null or missing."""
    value = fields.get(name)
    return None if value is None else text(value, f"{prefix}{name}")


def choice(value: object, param: str, choices: Collection[str]) -> str:
    """One of several words."""
    found = text(value, param)
    if found not in choices:
        known = ", ".join(choices)
        raise wrong(param, f"{quote(found)} is not supported; choose one of: {known}")
    return found


def truth(fields: dict[str, Any], name: str, usual: bool | None, prefix: str = "") -> Any:
    """A field that is true or false; null is the usual value."""
    value = fields.get(name)
    if value is None:
        return usual
    if not isinstance(value, bool):
        raise wrong(f"{prefix}{name}", "this is neither true nor false", WRONG_TYPE)
    return value


def whole(fields: dict[str, Any], name: str, least: int, most: int) -> int | None:
    """A field that is a whole number, null or missing."""
    value = fields.get(name)
    if value is None:
        return None
    if type(value) is not int:
        raise wrong(name, "this is not a whole number", WRONG_TYPE)
    if not least <= value <= most:
        raise wrong(name, f"this is not from {least:,} to {most:,}")
    return value


def number(fields: dict[str, Any], name: str, least: float, most: float) -> float | None:
    """A field that is a number, null or missing."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise wrong(name, "this is not a number", WRONG_TYPE)
    if not least <= value <= most:
        raise wrong(name, f"this is not from {least:g} to {most:g}")
    return float(value)


def mapping(value: object, param: str) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise wrong(param, "this is not an object", WRONG_TYPE)
    return value


def listed(value: object, param: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise wrong(param, "this is not a list", WRONG_TYPE)
    return value


def metadata(fields: dict[str, Any]) -> dict[str, str]:
    """What the caller keeps with a response: a few short texts."""
    if fields.get("metadata") is None:
        return {}
    found = mapping(fields["metadata"], "metadata")
    if len(found) > MOST_PAIRS:
        raise wrong("metadata", f"there are {len(found)} pairs; the maximum is {MOST_PAIRS}")
    for key, value in found.items():
        text(key, "metadata")
        param = f"metadata.{key[:MOST_KEY]}"
        if len(key) > MOST_KEY:
            raise wrong(param, f"the key is longer than {MOST_KEY} characters")
        if len(text(value, param)) > MOST_VALUE:
            raise wrong(param, f"the value is longer than {MOST_VALUE} characters")
    return found
