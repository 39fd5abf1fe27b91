"""RTF: its text with tables, notes, headings and scripts. Implemented here: striprtf, the library
that is kept, drops notes and writes raised characters as any other.

A file is groups of control words and characters (RTF 1.9.1, Microsoft).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from ktclient.documents.formats.left_out import LeftOut
from ktclient.documents.formats.limits import Unreadable
from ktclient.documents.formats.office.paragraphs import Lines

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+"
    rb"|([^\\{}\r\n]+)",
    re.S,
)
_SILENT = frozenset(
    (
        *("fonttbl", "colortbl", "stylesheet", "info", "pict", "objdata", "listtable"),
        *("listoverridetable", "revtbl", "rsidtbl", "themedata", "colorschememapping", "datastore"),
        *("latentstyles", "generator", "xmlnstbl", "header", "headerl", "headerr", "headerf"),
        *(
            "footer",
            "footerl",
            "footerr",
            "footerf",
            "annotation",
            "atnid",
            "atnauthor",
            "tc",
            "xe",
        ),
        *("fldinst", "filetbl", "template", "ftnsep", "ftnsepc", "ftncn", "aftnsep", "aftnsepc"),
        *("aftncn", "bkmkstart", "bkmkend", "pgdsctbl", "mmathPict", "pnseclvl", "sp"),
        *("moMath", "moMathPara", "userprops", "private", "background", "wgrffmtfilter", "pn"),
    )
)
_COUNTED = {
    "pict": "picture",
    "object": "embedded object",
    "annotation": "comment",
    "moMath": "equation",
    **dict.fromkeys(("header", "headerl", "headerr", "headerf"), "page header"),
    **dict.fromkeys(("footer", "footerl", "footerr", "footerf"), "page footer"),
}
_CHARACTERS = {
    "tab": "\t",
    "emdash": "\u2014",
    "endash": "\u2013",
    "bullet": "\u2022",
    "line": "\n",
    "lquote": "\u2018",
    "rquote": "\u2019",
    "ldblquote": "\u201c",
    "rdblquote": "\u201d",
    "emspace": "\u2003",
    "enspace": "\u2002",
    "qmspace": "\u2005",
    "zwj": "\u200d",
    "~": "\xa0",
    "_": "\u2011",
    "{": "{",
    "}": "}",
    "\\": "\\",
    "zwnj": "\u200c",
}
_ENDS = frozenset(("par", "sect", "page", "column", "\n", "\r"))
_CODE_PAGES = {
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gb18030",
    136: "big5hkscs",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    254: "cp437",
    255: "cp850",
}
"""By \\fcharset; others are the document's."""
_FONT = re.compile(rb"\\f(\d{1,6})\b[^;{}]*?\\fcharset(\d{1,3})")
_FONT_TABLE = re.compile(rb"\\fonttbl")


def read(body: bytes) -> tuple[str, str]:
    """Markdown. Raises `Unreadable`."""
    reader = _Reader(body)
    text = reader.text()
    if not text.strip():
        raise Unreadable("contains no text, perhaps only pictures")
    return text, f"{len(text.split()):,} words{reader.left.words()}"


@dataclass(frozen=True)
class _State:
    """What a group inherits, and restores at its end."""

    is_silent: bool = False
    shift: int = 0
    """1: raised; -1: lowered."""
    font: int | None = None
    fallback: int = 1
    """Characters after \\u that are for readers without Unicode."""
    is_deleted: bool = False
    is_struck: bool = False
    is_copy: bool = False
    """A picture again, for old programs."""
    note: int = 0
    """The note that this is in; 0: the text."""


class _Reader:
    """Reads a file once, from its beginning."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.left = LeftOut()
        self._state, self._above = _State(), list[_State]()
        self._encoding = "cp1252"
        self._fonts = _fonts(body)
        self._default_font: int | None = None
        self._pending = b""
        self._skipped = 0
        self._is_deleted = False
        self._streams: dict[int, Lines] = {0: Lines()}
        self._words: dict[str, Callable[[int | None], None]] = {
            "super": lambda _: self._set(shift=1),
            "sub": lambda _: self._set(shift=-1),
            "nosupersub": lambda _: self._set(shift=0),
            "up": lambda number: self._set(shift=int(number != 0)),
            "dn": lambda number: self._set(shift=-int(number != 0)),
            "plain": lambda _: self._set(
                shift=0, is_deleted=False, is_struck=False, font=self._default_font
            ),
            "strike": lambda number: self._set(is_struck=number != 0),
            "striked": lambda number: self._set(is_struck=number != 0),
            "f": lambda number: self._set(font=number),
            "deff": self._take_default_font,
            "uc": lambda number: self._set(fallback=number or 0),
            "u": self._unicode,
            "ansicpg": self._code_page,
            "mac": lambda _: self._take_encoding("mac_roman"),
            "pc": lambda _: self._take_encoding("cp437"),
            "deleted": lambda number: self._delete(number != 0),
            "footnote": lambda _: self._begin_note(),
            "shptxt": lambda _: self._begin_box(),
            "shprslt": lambda _: self._set(is_silent=True, is_copy=True),
            "nonshppict": lambda _: self._set(is_silent=True, is_copy=True),
            "pard": lambda _: self._lines.begin(),
            "intbl": lambda _: self._lines.enter_table(),
            "outlinelevel": lambda number: self._lines.make_heading(number or 0),
            "cell": lambda _: self._lines.end_cell(),
            "nestcell": lambda _: self._lines.end_cell(),
            "row": lambda _: self._lines.end_row(),
            "nestrow": lambda _: self._lines.end_row(),
        }

    def text(self) -> str:
        """All of it; notes are at the end."""
        place = 0
        while (found := _TOKEN.match(self._body, place)) is not None:
            place = found.end()
            word, number, code, symbol, brace, plain = found.groups()
            if word == b"bin":
                place += max(0, int(number or 0))
            elif code is not None:
                self._byte(bytes.fromhex(code.decode()))
            else:
                self._flush()
                self._token(word, number, symbol, brace, plain)
        self._flush()
        notes = [
            f"[{number}] {lines.text().strip()}"
            for number, lines in self._streams.items()
            if number
        ]
        return "\n\n".join([self._streams[0].text(), *notes])

    @property
    def _lines(self) -> Lines:
        return self._streams[self._state.note]

    def _token(
        self,
        word: bytes | None,
        number: bytes | None,
        symbol: bytes | None,
        brace: bytes | None,
        plain: bytes | None,
    ) -> None:
        if brace == b"{":
            self._above.append(self._state)
        elif brace == b"}":
            if self._above:
                self._state = self._above.pop()
        elif word is not None:
            self._control(word.decode(), None if number is None else int(number))
        elif symbol == b"*":
            self._set(is_silent=True)
        elif symbol is not None:
            self._symbol(symbol.decode("latin-1"))
        elif plain is not None:
            skipped = min(self._skipped, len(plain))
            self._skipped -= skipped
            self._write(self._decoded(plain[skipped:]))

    def _control(self, word: str, number: int | None) -> None:
        self._skipped = 0
        if word in _COUNTED and not self._state.is_copy:
            self.left.add(_COUNTED[word])
        if word in _SILENT:
            self._set(is_silent=True)
        elif word in _ENDS:
            self._end_paragraph()
        elif word in _CHARACTERS:
            self._write(_CHARACTERS[word])
        elif word in self._words:
            self._words[word](number)

    def _symbol(self, symbol: str) -> None:
        self._skipped = 0
        if symbol in _ENDS:
            self._end_paragraph()
        elif symbol in _CHARACTERS:
            self._write(_CHARACTERS[symbol])

    def _set(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]

    def _end_paragraph(self) -> None:
        if not self._state.is_silent:
            self._lines.end_paragraph()

    def _write(self, text: str) -> None:
        if text and not self._state.is_silent and not self._state.is_deleted:
            self._lines.write(text, self._state.shift, is_struck=self._state.is_struck)

    def _byte(self, one: bytes) -> None:
        """Bytes that follow one another may be one character."""
        if self._skipped:
            self._skipped -= 1
        else:
            self._pending += one

    def _flush(self) -> None:
        if self._pending:
            body, self._pending = self._pending, b""
            self._write(self._decoded(body))

    def _decoded(self, body: bytes) -> str:
        if body.isascii():
            return body.decode()
        font = self._state.font if self._state.font is not None else self._default_font
        for encoding in (self._fonts.get(-1 if font is None else font), self._encoding):
            if encoding is not None:
                try:
                    return body.decode(encoding)
                except UnicodeDecodeError:
                    continue
        self.left.say("unreadable characters are replaced")
        return body.decode(self._encoding, "replace")

    def _unicode(self, number: int | None) -> None:
        code = (number or 0) % 0x10000
        character = chr(code)
        if 0xDC00 <= code <= 0xDFFF:
            character = self._lines.second_half(character)
        self._write(character)
        self._skipped = self._state.fallback

    def _code_page(self, number: int | None) -> None:
        self._take_encoding({936: "gb18030", 950: "big5hkscs"}.get(number or 0, f"cp{number}"))

    def _take_encoding(self, name: str) -> None:
        try:
            b"a".decode(name)
        except LookupError:
            return
        self._encoding = name

    def _take_default_font(self, number: int | None) -> None:
        self._default_font = number

    def _delete(self, is_deleted: bool) -> None:
        self._set(is_deleted=is_deleted)
        self.left.add("deleted passage", int(is_deleted and not self._state.is_silent))

    def _begin_box(self) -> None:
        if not self._state.is_copy:
            self._lines.end_paragraph()
            self._set(is_silent=False)

    def _begin_note(self) -> None:
        if self._state.is_silent and self._state.note:
            return
        number = len(self._streams)
        self._lines.write(f"[{number}]", 0)
        self._streams[number] = Lines()
        self._set(note=number, is_silent=False, shift=0)


def _fonts(body: bytes) -> dict[int, str]:
    """The encoding of each font of the table."""
    start = _FONT_TABLE.search(body)
    if start is None:
        return {}
    depth, end = 1, start.end()
    for brace in re.finditer(rb"[{}]", body[start.end() :]):
        depth += 1 if brace.group() == b"{" else -1
        end = start.end() + brace.end()
        if depth == 0:
            break
    found = ((int(one), int(other)) for one, other in _FONT.findall(body[start.end() : end]))
    return {font: _CODE_PAGES[charset] for font, charset in found if charset in _CODE_PAGES}
