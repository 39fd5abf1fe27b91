"""All words of a page without a tree, for one that is nested beyond what a tree can hold, and where
no library for HTML is installed. Standard library only."""

from __future__ import annotations

import html.parser

_LINES = {
    *("p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article"),
    *("nav", "main", "aside", "header", "footer", "summary", "details", "address", "fieldset"),
    *("legend", "form", "figure", "figcaption", "blockquote", "pre", "table", "caption", "dt"),
    *("dd", "ul", "ol", "option", "center", "title", "hr"),
}
_SPACES = {"td", "th"}
_SCRIPTS = {"sup": "^", "sub": "_"}


def of(source: str) -> tuple[str, int]:
    """The words of a page, and how many characters of it are text."""
    reader = _Words()
    reader.feed(source)
    reader.close()
    return "".join(reader.words), reader.size


class _Words(html.parser.HTMLParser):
    """Collects all text except scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.size = 0
        self._is_silent = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._is_silent = tag in ("script", "style")
        if tag in _LINES:
            self.words.append("\n")
        elif tag in _SPACES:
            self.words.append(" ")
        elif tag in _SCRIPTS:
            self.words.append(_SCRIPTS[tag])

    def handle_endtag(self, tag: str) -> None:
        self._is_silent = False
        if tag in _LINES and self.words and not self.words[-1].endswith("\n"):
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._is_silent:
            self.words.append(data)
            self.size += len(data.strip())
