"""HTML as Markdown: headings, lists and tables are kept, links and pictures become their text."""

from __future__ import annotations

import html.parser

import bs4
import markdownify

from ktclient.documents.formats.limits import Unreadable

_OF_NO_READER = ("script", "style", "template", "noscript", "svg", "iframe", "object")
_LINES = {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article"}


def read(body: bytes) -> tuple[str, str]:
    """Markdown of a whole page in UTF-8; its title becomes a heading if it has no <h1>."""
    text = text_of(body.decode(), is_titled=True)
    if not text.strip():
        raise Unreadable(
            "contains no text, perhaps because scripts load it; save it from a browser"
        )
    return text, f"{len(text.split()):,} words"


def text_of(source: str, *, is_titled: bool = False) -> str:
    """Markdown of any HTML; plain text if it is nested so deeply that lxml silently drops a part
    (256 levels: libxml2, xmlParserMaxDepth)."""
    plain = _Words()
    plain.feed(source)
    plain.close()
    soup = bs4.BeautifulSoup(source, "lxml")
    kept = sum(len(text.strip()) for text in soup.strings)
    if kept < 0.95 * plain.size - 20:
        return "".join(plain.words)
    try:
        return _markdown(soup, is_titled=is_titled)
    except RecursionError:
        return "".join(plain.words)


def _markdown(soup: bs4.BeautifulSoup, *, is_titled: bool) -> str:
    for tag in soup(_OF_NO_READER):
        tag.decompose()
    title = soup.title.get_text(" ", strip=True) if soup.title is not None else ""
    if soup.head is not None:
        soup.head.decompose()
    converter = markdownify.MarkdownConverter(
        heading_style="ATX",
        bullets="-",
        strip=["a", "img"],
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
        table_infer_header=True,
    )
    text = str(converter.convert_soup(soup))
    return f"# {title}\n\n{text}" if is_titled and title and soup.h1 is None else text


class _Words(html.parser.HTMLParser):
    """Collects all text except scripts and styles, without a tree."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.size = 0
        self._is_silent = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._is_silent = tag in ("script", "style")
        if tag in _LINES:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._is_silent = False

    def handle_data(self, data: str) -> None:
        if not self._is_silent:
            self.words.append(data)
            self.size += len(data.strip())
