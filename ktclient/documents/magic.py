"""Identify by its first bytes a file that is not text but may be submitted as a document.

The signatures are those of the formats' own specifications, as file(1) knows them.
"""

from __future__ import annotations

import re

_PDF = "a PDF"
_OLD_OFFICE = "an old Office document (DOC, XLS or PPT)"
_OFFICE = (
    (b"word/", "a Word document (DOCX)"),
    (b"xl/", "an Excel workbook (XLSX)"),
    (b"ppt/", "a PowerPoint presentation (PPTX)"),
    (b"application/epub+zip", "an EPUB book"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file"),
)
"""Names of the first entries of a ZIP archive that is a document."""
_MARKS = (
    (b"%PDF-", _PDF),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLD_OFFICE),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x7fELF", "a binary program (ELF)"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"GGUF", "a GGUF model"),
)
RTF = "an RTF document"
MAIL = "a mail"
MHT = "a saved web page (MHT)"
NOTEBOOK = "a Jupyter notebook"
FORMATS = (_PDF, *(name for _, name in _OFFICE), RTF, MAIL, MHT, NOTEBOOK)
"""Documents that may have a reader."""
_OF_RTF = re.compile(rb"\{\\rtf(?:\d|\s*[\\{])")
_HEADER = re.compile(rb"([!-9;-~]{1,80}):[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n")
_ENVELOPE = re.compile(rb"(?:From [^\r\n]{1,300}\r?\n)?")
_OF_MAILS = {b"mime-version", b"message-id", b"received", b"return-path", b"content-type"}
_OF_PEOPLE = {b"from", b"to", b"subject", b"date"}
_SAVED = re.compile(rb"^(?:snapshot-content-location|from:\s*<?saved by)", re.I | re.M)
_RELATED = re.compile(rb"^content-type:\s*multipart/related", re.I | re.M)
_NOTEBOOK = (re.compile(rb'"nbformat"\s*:\s*\d'), re.compile(rb'"cell_type"\s*:\s*"'))
_MSG = "an Outlook message (MSG)"
_CURES = {
    _MSG: "save it as text or as a mail (EML) first",
    _PDF: "extract its text first: pdftotext FILE - | ktjob submit -",
    "an Office document that is protected by a password": "save it without one",
    "a gzip file": "unpack it first: zcat FILE | ktjob submit -",
    "a bzip2 file": "unpack it first: bzcat FILE | ktjob submit -",
    "an xz file": "unpack it first: xzcat FILE | ktjob submit -",
    "a Zstandard file": "unpack it first: zstdcat FILE | ktjob submit -",
}
_DOCUMENT_CURE = "save it as text first, or: pandoc -t plain FILE | ktjob submit -"
_LOOKED_AT = 8192
_HEADERS_LOOKED_AT = 262_144
_LIST_BYTES = 65_536
_OUTLOOK = "__properties_version1.0".encode("utf-16-le")
"""The stream of a message's properties: [MS-OXMSG] 2.4."""
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
"""The stream that holds the document: [MS-OFFCRYPTO] 2.3.4.4."""


def name(body: bytes) -> str | None:
    """The format, with its article; None if the first bytes match none."""
    head = body[:_LOOKED_AT]
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "a WebP image"
    if head[257:262] == b"ustar":
        return "a tar archive"
    found = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if found in ("a bzip2 file", "a GGUF model") and _is_ascii_line(head):
        return None  # "BZhang wrote:"
    if found == "a ZIP archive":
        # The list of all entries is at the end; `body` may be only the start of a file.
        looked_at = head + body[-_LIST_BYTES:]
        return next((name for inside, name in _OFFICE if inside in looked_at), found)
    if found == _OLD_OFFICE and _OUTLOOK in body:
        return _MSG
    if found == _OLD_OFFICE and _ENCRYPTED in body:
        return "an Office document that is protected by a password"
    return found


def text_name(body: bytes) -> str | None:
    """The format of a file whose text is written in characters of its own: what a person reads is
    not what it holds."""
    if _OF_RTF.match(body):
        return RTF
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return NOTEBOOK if all(mark.search(body) for mark in _NOTEBOOK) else None
    return _mail_name(body[:_HEADERS_LOOKED_AT])


def _mail_name(head: bytes) -> str | None:
    """A mail begins with headers, and with more than those that people write above a text."""
    envelope = _ENVELOPE.match(head)
    start = place = envelope.end() if envelope is not None else 0
    names = set()
    while (found := _HEADER.match(head, place)) is not None:
        names.add(found.group(1).lower())
        place = found.end()
    is_whole = head[place : place + 2] in (b"\r\n", b"") or head[place : place + 1] == b"\n"
    headers = head[start:place]
    if not is_whole or not names & _OF_MAILS or not names & _OF_PEOPLE or len(names) < 3:
        return None
    return MHT if _RELATED.search(headers) and _SAVED.search(headers) else MAIL


def advice(format_name: str) -> str:
    """What to do to submit its text."""
    if format_name in _CURES:
        return _CURES[format_name]
    documents = {name for _, name in _OFFICE} | {_OLD_OFFICE}
    return _DOCUMENT_CURE if format_name in documents else "only text can be submitted"


def looks_binary(body: bytes) -> bool:
    """Whether its control characters make it binary; for bytes of no known format."""
    sample = body[:_LOOKED_AT]
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\v\x1b" for byte in sample)
    return controls * 20 > len(sample)


def _is_ascii_line(head: bytes) -> bool:
    return head[:16].isascii() and head[:16].replace(b"\n", b" ").decode().isprintable()
