"""How much a document may take to be read, and what is said when it cannot be."""

from __future__ import annotations

import io
import zipfile

MEMORY_BYTES = 3 * 10**9
CPU_SECONDS = 290
MOST_ENTRIES = 20_000
MOST_UNPACKED = 1_000_000_000
"""Of an archive in all, with pictures and films, which are not unpacked."""
MOST_MARKUP = 200_000_000
"""Of its parts in XML or HTML: twice the longest document, for the marks."""
_MARKUP = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx")


class Unreadable(Exception):
    """Why, in words that follow the document's name."""


def archive(body: bytes) -> zipfile.ZipFile:
    """The archive that a document is, once what it says to hold is little enough: no entry yields
    more than it says. Raises `Unreadable`."""
    try:
        found = zipfile.ZipFile(io.BytesIO(body))
    except (zipfile.BadZipFile, ValueError, OverflowError) as error:
        raise Unreadable(f"is damaged: {error}") from None
    entries = found.infolist()
    if len(entries) > MOST_ENTRIES:
        raise Unreadable(f"holds {len(entries):,} parts; no document does")
    if any(one.flag_bits & 1 for one in entries):
        raise Unreadable("is protected by a password; save it without one")
    markup = [one.file_size for one in entries if one.filename.lower().endswith(_MARKUP)]
    unpacked = sum(one.file_size for one in entries)
    if sum(markup) > MOST_MARKUP or unpacked > MOST_UNPACKED:
        raise Unreadable(f"unpacks to {unpacked / 1e6:,.0f} MB: no document, but a bomb")
    return found
