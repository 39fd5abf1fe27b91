"""Check typed text: bytes that are invalid in the terminal's encoding arrive as lone surrogates,
which neither SQLite nor JSON nor a file accepts."""

from __future__ import annotations

from typing import TypeVar

from ktclient.errors import BadInput

MaybeText = TypeVar("MaybeText", str, "str | None")


def text(given: MaybeText, name: str) -> MaybeText:
    """The text unchanged. Raises `BadInput` if it is not valid text; `name` is its option's
    name."""
    if given is not None and any("\ud800" <= one <= "\udfff" for one in given):
        raise BadInput(f"{name} is not valid in this terminal's encoding")
    return given
