"""What was typed, as text: bytes that are none in the terminal's encoding come as lone surrogates,
which neither SQLite nor JSON nor a file takes."""

from __future__ import annotations

from typing import TypeVar

from ktclient.errors import BadInput

MaybeText = TypeVar("MaybeText", str, "str | None")


def text(given: MaybeText, name: str) -> MaybeText:
    """The same. Raises `BadInput` where it is no text; `name` is that of its option."""
    if given is not None and any("\ud800" <= one <= "\udfff" for one in given):
        raise BadInput(f"{name} is not valid in this terminal's encoding")
    return given
