"""The text of a script of `doctor/inside`, for `python -c` of the server's interpreter."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "inside"


def text(name: str) -> str:
    """The script of this name. By `-c` no module of ours can shadow one of the server's."""
    return (_FOLDER / f"{name}.py").read_text(encoding="utf-8")
