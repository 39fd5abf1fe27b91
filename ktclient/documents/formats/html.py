"""HTML as Markdown: headings, lists and tables are kept, links and pictures become their text."""

from __future__ import annotations

import bs4
import markdownify

from ktclient.documents.formats.formulas import mathml
from ktclient.documents.formats.left_out import LeftOut
from ktclient.documents.formats.limits import Unreadable
from ktclient.documents.formats.markup import (
    blocks,
    lists,
    renderings,
    scripts,
    styles,
    tables,
    words,
)


def read(body: bytes) -> tuple[str, str]:
    """Markdown of a whole page in UTF-8; its title becomes a heading if it has no <h1>."""
    left = LeftOut()
    text = text_of(body.decode(), left, is_titled=True)
    if not text.strip():
        raise Unreadable(
            "contains no text, perhaps because scripts load it; save it from a browser"
        )
    return text, f"{len(text.split()):,} words{left.words()}"


def text_of(source: str, left: LeftOut, *, is_titled: bool = False, sheet: str = "") -> str:
    """Markdown of any HTML; plain text if it is nested so deeply that lxml silently drops a part
    (256 levels: libxml2, xmlParserMaxDepth). `left` counts what is not text.
    `sheet`: style sheets that are not in it."""
    plain, size = words.of(source)
    soup = bs4.BeautifulSoup(source, "lxml")
    kept = sum(len(text.strip()) for text in soup.strings)
    if kept < 0.95 * size - 20:
        return plain
    try:
        styles.apply(soup, f"{sheet}\n{styles.sheets(soup)}")
        return _markdown(soup, left, is_titled=is_titled)
    except RecursionError:
        return plain


def _markdown(soup: bs4.BeautifulSoup, left: LeftOut, *, is_titled: bool) -> str:
    title = soup.title.get_text(" ", strip=True) if soup.title is not None else ""
    if soup.head is not None:
        soup.head.decompose()
    renderings.choose(soup)
    blocks.take_out(soup, left)
    mathml.spell(soup)
    blocks.describe_pictures(soup, left)
    scripts.spell(soup)
    blocks.separate(soup)
    tables.align(soup)
    lists.number(soup)
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


_INDENT = 4
"""Of what belongs to an item whose number Markdown does not know, such as `Article III.`"""


class _Converter(markdownify.MarkdownConverter):
    """With the cells of a table kept in their columns, and items under their own numbers."""

    def convert_li(self, el: bs4.Tag, text: str, parent_tags: set[str]) -> str:
        label = str(el.get(lists.LABEL, ""))
        if not el.has_attr(lists.LABEL) or not (text or "").strip():
            return str(super().convert_li(el, text, parent_tags))  # type: ignore[misc]
        bullet = f"{label} " if label else ""
        first, *rest = text.strip().split("\n")
        width = len(bullet) if label[:-1].isdecimal() else _INDENT
        indented = [f"{' ' * width}{line}" if line else "" for line in rest]
        return "\n".join([f"{bullet}{first}", *indented, ""])

    def convert_tr(self, el: bs4.Tag, text: str, parent_tags: set[str]) -> str:
        if not el.has_attr(tables.FIRST):  # else each group of rows would be looked through
            return f"|{text}\n"
        return str(super().convert_tr(el, text, parent_tags))  # type: ignore[misc]

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
