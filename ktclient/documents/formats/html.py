"""HTML as Markdown: headings, lists and tables are kept, links and pictures become their text."""

from __future__ import annotations

import bs4
import markdownify

from ktclient.documents.formats.formulas import mathml
from ktclient.documents.formats.left_out import LeftOut
from ktclient.documents.formats.limits import Unreadable
from ktclient.documents.formats.markup import blocks, scripts, tables, words


def read(body: bytes) -> tuple[str, str]:
    """Markdown of a whole page in UTF-8; its title becomes a heading if it has no <h1>."""
    left = LeftOut()
    text = text_of(body.decode(), left, is_titled=True)
    if not text.strip():
        raise Unreadable(
            "contains no text, perhaps because scripts load it; save it from a browser"
        )
    return text, f"{len(text.split()):,} words{left.words()}"


def text_of(source: str, left: LeftOut, *, is_titled: bool = False) -> str:
    """Markdown of any HTML; plain text if it is nested so deeply that lxml silently drops a part
    (256 levels: libxml2, xmlParserMaxDepth). `left` counts what is not text."""
    plain, size = words.of(source)
    soup = bs4.BeautifulSoup(source, "lxml")
    kept = sum(len(text.strip()) for text in soup.strings)
    if kept < 0.95 * size - 20:
        return plain
    try:
        return _markdown(soup, left, is_titled=is_titled)
    except RecursionError:
        return plain


def _markdown(soup: bs4.BeautifulSoup, left: LeftOut, *, is_titled: bool) -> str:
    title = soup.title.get_text(" ", strip=True) if soup.title is not None else ""
    if soup.head is not None:
        soup.head.decompose()
    blocks.take_out(soup, left)
    mathml.spell(soup)
    blocks.describe_pictures(soup, left)
    scripts.spell(soup)
    blocks.separate(soup)
    tables.align(soup)
    converter = _Converter(
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


class _Converter(markdownify.MarkdownConverter):
    """With the cells of a table kept in their columns."""

    def convert_td(self, el: bs4.Tag, text: str, parent_tags: set[str]) -> str:
        return str(
            super().convert_td(  # type: ignore[misc]
                el, text.replace("|", r"\|"), parent_tags
            )
        )

    def convert_th(self, el: bs4.Tag, text: str, parent_tags: set[str]) -> str:
        return str(
            super().convert_th(  # type: ignore[misc]
                el, text.replace("|", r"\|"), parent_tags
            )
        )
