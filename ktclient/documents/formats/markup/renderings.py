"""Formulas that a script has drawn in a page: their source stays, what was drawn of it goes.

KaTeX and MathJax write each formula twice, once for the eye and once for programs: read as it
stands, `E = mc^2` is followed by its letters, and a fraction by two numbers side by side.
"""

from __future__ import annotations

import re

import bs4

from ktclient.documents.formats.markup import spans

_TEX = re.compile(r"\s*math/tex", re.I)
_DRAWN = re.compile(r"MathJax(?:_(?:Preview|Display|SVG|SVG_Display|CHTML))?\Z|mjx-chtml\Z")


def choose(soup: bs4.BeautifulSoup) -> None:
    """Keep one form of each formula."""
    sources = soup.find_all("script", type=_TEX)
    if sources:
        for tag in soup.find_all(class_=_DRAWN):
            if tag.find("script", type=_TEX) is None:
                spans.put(tag, "")
    for tag in sources:
        spans.put(tag, f"${' '.join(tag.get_text().split())}$")
    with_source = {id(tag.parent) for tag in soup.find_all(class_="katex-mathml")}
    for tag in soup.find_all(class_="katex-html"):
        if id(tag.parent) in with_source:
            spans.put(tag, "")
    for box in soup.find_all("mjx-container"):
        if box.find("math") is not None:
            for tag in box.find_all(["svg", "mjx-math"]):
                spans.put(tag, "")
