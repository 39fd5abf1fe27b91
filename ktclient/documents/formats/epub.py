"""EPUB: its chapters in reading order. Implemented here: EbookLib is under the AGPL, and the format
is an archive of HTML with a list (EPUB 3.3, W3C)."""

from __future__ import annotations

import posixpath
import urllib.parse
import zipfile
from xml.etree import ElementTree

from ktclient import wording
from ktclient.documents.formats import html, limits
from ktclient.documents.formats.left_out import LeftOut
from ktclient.documents.formats.limits import Unreadable

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_PACKAGE = "{http://www.idpf.org/2007/opf}"
_CIPHER = "{http://www.w3.org/2001/04/xmlenc#}CipherReference"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read(body: bytes) -> tuple[str, str]:
    """Markdown of all chapters. Raises `Unreadable`."""
    book = limits.archive(body)
    left = LeftOut()
    names = _chapters(book, left)
    if _locked(book) & set(names):
        raise Unreadable("is locked by DRM: only its shop's program can read it")
    sheet = "\n".join(
        _part(book, one).decode(errors="replace") for one in book.namelist() if one.endswith(".css")
    )
    texts = [html.text_of(_decoded(_part(book, name)), left, sheet=sheet) for name in names]
    if not any(text.strip() for text in texts):
        raise Unreadable("contains no text, perhaps only pictures")
    return "\n\n".join(texts), f"{wording.count(len(texts), 'chapter file')}{left.words()}"


def _chapters(book: zipfile.ZipFile, left: LeftOut) -> list[str]:
    """Names in the archive, in reading order."""
    container = _xml(book, "META-INF/container.xml")
    root = next((one.get("full-path") for one in container.iter(f"{_CONTAINER}rootfile")), None)
    if not root:
        raise Unreadable("is damaged: its container names no package")
    package, folder = _xml(book, root), posixpath.dirname(root)
    pages = {
        one.get("id"): posixpath.normpath(
            posixpath.join(folder, urllib.parse.unquote(one.get("href", "")))
        )
        for one in package.iter(f"{_PACKAGE}item")
        if one.get("media-type") in _PAGES
    }
    spine = [one.get("idref") for one in package.iter(f"{_PACKAGE}itemref")]
    left.add("picture page", sum(one not in pages for one in spine))
    return [pages[one] for one in spine if one in pages]


def _locked(book: zipfile.ZipFile) -> set[str]:
    """The names of its encrypted parts; fonts often are, and do not matter."""
    if "META-INF/encryption.xml" not in book.namelist():
        return set()
    marks = _xml(book, "META-INF/encryption.xml").iter(_CIPHER)
    return {urllib.parse.unquote(one.get("URI", "")) for one in marks}


def _xml(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(_part(book, name))


def _part(book: zipfile.ZipFile, name: str) -> bytes:
    try:
        return book.read(name)
    except KeyError:
        raise Unreadable(f"is damaged: it has no part {name}") from None


def _decoded(page: bytes) -> str:
    """UTF-8 or UTF-16, as the format requires; other encodings as the page declares."""
    import bs4

    return bs4.UnicodeDammit(page, is_html=True).unicode_markup or page.decode(errors="replace")
