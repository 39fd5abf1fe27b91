"""Text in an element's place. Beautiful Soup looks through all neighbours of an element that it
removes or replaces, so that a paragraph with many of them would take quadratic time."""

from __future__ import annotations

import bs4


def put(tag: bs4.Tag, text: str) -> None:
    """Make an element an inline one with this text."""
    tag.clear()
    tag.name, tag.attrs = "span", {}
    if text:
        tag.append(text)
