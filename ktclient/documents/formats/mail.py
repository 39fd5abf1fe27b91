"""Mails, mailboxes and saved web pages (MHT) by the standard library: RFC 5322, 2045 and 2557.

Of each mail its subject, people and date, its text, and the attachments that have a reader here.
"""

from __future__ import annotations

import email
import email.header
import email.message
import email.policy
import importlib
import re
from collections.abc import Iterator

from ktclient import wording
from ktclient.documents import encodings, magic
from ktclient.documents.formats import limits, registry
from ktclient.documents.formats.left_out import LeftOut
from ktclient.documents.formats.limits import Unreadable
from ktclient.documents.formats.markup import words

Message = email.message.Message
_SHOWN = ("Subject", "From", "To", "Cc", "Date")
_READERS = {"PDF": "pdf", "DOCX": "docx", "PPTX": "pptx", "EPUB": "epub", "RTF": "rtf"}
_NOTEBOOK = "notebook"
_MOST_DEEP = 20
_WORD = re.compile(r"\w+")
_NEXT_MAIL = re.compile(rb"(?:\A|\r?\n\r?\n)From [^\r\n]{1,300}\r?\n(?=[!-9;-~]{1,80}:)")
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "iso-8859-8-i": "iso-8859-8",
    "unicode-1-1-utf-7": "utf-7",
}


def read(body: bytes) -> tuple[str, str]:
    """All mails of a file, or the page of an MHT file. Raises `Unreadable`."""
    if magic.text_name(body) == magic.MHT:
        return _page(body)
    left = LeftOut()
    mails = [one for one in _NEXT_MAIL.split(body) if one.strip()]
    reader = _Reader(left)
    texts = [reader.mail(_parsed(one), 0) for one in mails]
    if not reader.has_text:
        raise Unreadable("contains no text, only headers and attachments that cannot be read")
    text = "\n\n---\n\n".join(texts)
    about = f"{len(text.split()):,} words"
    if len(mails) > 1:
        about += f" of {wording.count(len(mails), 'mail')}"
    if reader.attachments:
        about += f" with {wording.count(reader.attachments, 'attachment')}"
    return text, about + left.words()


def _page(body: bytes) -> tuple[str, str]:
    from ktclient.documents.formats import html

    left = LeftOut()
    message = _parsed(body)
    pages = [one for one in message.walk() if one.get_content_type() == "text/html"]
    start = message.get_param("start")
    chosen = [one for one in pages if start and one.get("Content-ID") == start] or pages
    text = html.text_of(_decoded(chosen[0], left), left, is_titled=True) if chosen else ""
    if not text.strip():
        raise Unreadable("contains no text; save the page again as HTML, or as text")
    left.add("embedded page", len(pages) - 1)
    return text, f"{len(text.split()):,} words{left.words()}"


def _parsed(body: bytes) -> Message:
    return email.message_from_bytes(body, policy=email.policy.compat32)


def _header(message: Message, name: str) -> str:
    """A header's text, decoded; all of several."""
    return ", ".join(_words(value) for value in message.get_all(name, []))


def _words(value: object) -> str:
    try:
        found = str(email.header.make_header(email.header.decode_header(str(value))))
    except (LookupError, ValueError, email.errors.HeaderParseError):
        found = str(value)
    if any("\ud800" <= character <= "\udfff" for character in found):
        raw = found.encode("utf-8", "surrogateescape")
        guessed = encodings.guess(raw)
        found = guessed[1] if guessed is not None else raw.decode(errors="replace")
    return " ".join(found.split())


def _decoded(part: Message, left: LeftOut) -> str:
    payload = part.get_payload(decode=True)
    body = payload if isinstance(payload, bytes) else b""
    given = str(part.get_content_charset() or "us-ascii")
    for name in (_SUPERSETS.get(given, given), "utf-8"):
        try:
            return body.decode(name)
        except (LookupError, UnicodeError):
            continue
    guessed = encodings.guess(body)
    if guessed is not None:
        return guessed[1]
    left.say(f"its text is not {given.upper()}, unreadable characters are replaced")
    return body.decode("cp1252", errors="replace")


class _Reader:
    """Reads mails, and counts what is left out."""

    def __init__(self, left: LeftOut) -> None:
        self._left = left
        self.attachments = 0
        self.has_text = False

    def mail(self, message: Message, depth: int) -> str:
        """Its headers and all its parts."""
        headers = [f"{name}: {_header(message, name)}" for name in _SHOWN if message.get(name)]
        parts = [part.strip("\n") for part in self._parts(message, depth) if part.strip()]
        return "\n\n".join(["\n".join(headers), *parts])

    def _parts(self, part: Message, depth: int) -> Iterator[str]:
        inner = _inner(part)
        if depth > _MOST_DEEP:
            self._left.add("deeply nested part")
        elif part.get_content_type() == "multipart/encrypted":
            self._left.add("encrypted part")
        elif inner:
            yield from self._many(part.get_content_type(), inner, depth)
        elif part.get_content_maintype() in ("text", "message") and not _is_attached(part):
            yield self._text(part)
        else:
            yield from self._attachment(part)

    def _many(self, kind: str, inner: list[Message], depth: int) -> Iterator[str]:
        """The parts of a part."""
        if kind == "message/rfc822":
            self.attachments += 1
            self.has_text = True
            yield f"## Attached mail\n\n{self.mail(inner[0], depth + 1)}"
        elif kind == "multipart/alternative":
            yield from self._best(inner, depth)
        elif kind == "multipart/related":
            yield from self._parts(inner[0], depth + 1)
            for one in inner[1:]:
                yield from self._inline(one, depth)
        else:
            for one in inner[:1] if kind == "multipart/signed" else inner:
                yield from self._parts(one, depth + 1)

    def _inline(self, part: Message, depth: int) -> Iterator[str]:
        """A part that another one shows: pictures are counted."""
        if part.get_content_maintype() == "image":
            self._left.add("picture")
        elif part.get_content_type() != "text/css":
            yield from self._parts(part, depth + 1)

    def _best(self, inner: list[Message], depth: int) -> Iterator[str]:
        """Of several forms of a text the plain one, unless that is only a remark about another."""
        made: dict[str, str] = {}
        for one in inner:
            is_text = one.get_content_maintype() == "text" and not one.get_filename()
            if is_text and one.get_content_type() == "text/calendar":
                self._left.add("calendar item")
            else:
                found = [self._text(one)] if is_text else list(self._parts(one, depth + 1))
                made.setdefault(one.get_content_type(), "\n\n".join(found))
        plain = made.pop("text/plain", "")
        rich = max(made.values(), key=len, default="")
        if len(rich.split()) > 3 * len(plain.split()) + 20 or not plain.strip():
            yield rich
        elif _is_of_another(plain, rich):
            yield from (plain, rich)
        else:
            yield plain

    def _text(self, part: Message) -> str:
        text = _decoded(part, self._left).replace("\r\n", "\n")
        if part.get_content_type() == "text/html":
            text = _of_page(text, self._left)
        elif str(part.get_param("format", "")).lower() == "flowed":
            text = _unflowed(text, deletes=str(part.get_param("delsp", "")).lower() == "yes")
        self.has_text |= bool(text.strip())
        return text

    def _attachment(self, part: Message) -> Iterator[str]:
        payload = part.get_payload(decode=True)
        body = payload if isinstance(payload, bytes) else b""
        name = _words(part.get_filename() or part.get_content_type())
        if part.get_content_type() in _SIGNATURES:
            return
        self.attachments += 1
        try:
            found = self._content(part, body)
        except Unreadable as error:
            found = None
            name += f", which {error}"
        except Exception as error:  # the readers' own, of any kind
            found = None
            name += f", which cannot be read ({type(error).__name__})"
        if found is None:
            self._left.add("unread attachment")
            yield f"[attachment: {name}, {len(body):,} bytes, not read]"
        else:
            self.has_text |= bool(found.strip())
            yield f"## Attachment: {name}\n\n{found.strip()}"

    def _content(self, part: Message, body: bytes) -> str | None:
        """Its text, if there is a reader for it."""
        format_name = magic.name(body) or magic.text_name(body)
        if format_name is not None:
            short = registry.short(format_name) if registry.is_readable(format_name) else ""
            module = {**_READERS, _NOTEBOOK: _NOTEBOOK}.get(short)
            if module is None or not registry.is_installed(format_name):
                return None
            reader = importlib.import_module(f"ktclient.documents.formats.{module}")
            text, about = reader.read(body)
            return f"{short}, {about}\n\n{text}"
        if part.get_content_maintype() == "text":
            text = _decoded(part, self._left)
        elif b"\0" in body or magic.looks_binary(body):
            return None
        else:
            try:
                text = body.decode()
            except UnicodeDecodeError:
                return None
        if len(text) > limits.MOST_MARKUP:
            return None
        return _of_page(text, self._left) if registry.is_html(text) else text


_SIGNATURES = (
    "application/pgp-signature",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
)


def _is_of_another(plain: str, rich: str) -> bool:
    """Whether most words of the rich form are not in the plain one, such as "This mail is HTML"."""
    known, wanted = ({*_WORD.findall(one.casefold())} for one in (plain, rich))
    return 2 * len(wanted - known) > len(wanted)


def _is_attached(part: Message) -> bool:
    return bool(part.get_filename()) or part.get_content_disposition() == "attachment"


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _of_page(source: str, left: LeftOut) -> str:
    if not registry.is_installed(registry.HTML):
        return words.of(source)[0]
    from ktclient.documents.formats import html

    return html.text_of(source, left)


def _unflowed(text: str, *, deletes: bool) -> str:
    """Lines that end with a space go on in the next one (RFC 3676)."""
    made: list[str] = []
    goes_on = False
    for line in text.split("\n"):
        words_of_line = line.removeprefix(" ") if line.startswith(" ") else line
        if goes_on and made and not words_of_line.startswith(">"):
            made[-1] += words_of_line
        else:
            made.append(words_of_line)
        goes_on = words_of_line.endswith(" ") and words_of_line != "-- "
        if goes_on and deletes:
            made[-1] = made[-1][:-1]
    return "\n".join(made)
