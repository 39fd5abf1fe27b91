"""How large the parts of a document may be, and the error if it cannot be read."""

from __future__ import annotations

import io
import zipfile

MOST_ENTRIES = 20_000
MOST_UNPACKED = 1_000_000_000
"""Bytes of an archive in total, including pictures and videos, which are not unpacked."""
MOST_MARKUP = 200_000_000
"""Bytes of its XML or HTML parts: twice the longest document, to allow for markup."""
_MARKUP = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx")


class Unreadable(Exception):
    """The reason, as text that follows the document's name."""


def archive(body: bytes) -> zipfile.ZipFile:
    """The archive that a document is, if its declared size is small enough: no entry yields more
    than it declares. Raises `Unreadable`."""
    try:
        found = zipfile.ZipFile(io.BytesIO(body))
    except (zipfile.BadZipFile, ValueError, OverflowError) as error:
        raise Unreadable(f"is damaged: {error}") from None
    entries = found.infolist()
    if len(entries) > MOST_ENTRIES:
        raise Unreadable(f"contains {len(entries):,} files, more than any document does")
    if any(one.flag_bits & 1 for one in entries):
        raise Unreadable("is protected by a password; save it without one")
    markup = [one.file_size for one in entries if one.filename.lower().endswith(_MARKUP)]
    unpacked = sum(one.file_size for one in entries)
    if sum(markup) > MOST_MARKUP or unpacked > MOST_UNPACKED:
        raise Unreadable(f"unpacks to {unpacked / 1e6:,.0f} MB: it is a ZIP bomb, not a document")
    return found
