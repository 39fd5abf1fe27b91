"""The encoding that a text declares in its first lines, in the ways that programs write it.

XML's prolog, HTML's meta element, the comment that Python, Ruby, Emacs and Vim know (PEP 263),
LaTeX's inputenc, the header of gettext's catalogues and of Project Gutenberg's books. Labels mean
what browsers take them for (encoding.spec.whatwg.org, "Names and labels"): `latin1` is windows-1252
in practice, GB2312 is GB18030.
"""

from __future__ import annotations

import codecs
import re

_LOOKED_AT = 4096
_FIRST_LINES = 2
"""In which a comment may declare it (PEP 263)."""
_LABEL = r"([A-Za-z][A-Za-z0-9_.:-]{1,39})"
_XML = re.compile(rf"""\s*<\?xml\s[^>]{{0,200}}?encoding\s*=\s*["']{_LABEL}["']""")
_META = re.compile(rf"""<meta\s[^>]{{0,300}}?charset\s*=\s*["']?\s*{_LABEL}""", re.I)
_COMMENT = re.compile(rf"^[ \t\f]*(?:#|;|%|//|/\*|--|\").{{0,200}}?coding[:=][ \t]*{_LABEL}")
_LATEX = re.compile(r"^[^%\n]{0,200}?\\usepackage\[([a-z0-9]{2,20})\]\{inputenc\}", re.M)
_CATALOGUE = re.compile(rf'^"Content-Type: text/plain; charset={_LABEL}\\n"', re.M)
_GUTENBERG = re.compile(r"^Character set encoding: ([A-Za-z0-9 -]{2,30}?)[ \t\r]*$", re.M)
_OF_BROWSERS = {
    **dict.fromkeys(
        ("iso-8859-1", "latin1", "latin-1", "l1", "iso8859-1", "ascii", "us-ascii", "ansi"),
        "cp1252",
    ),
    **dict.fromkeys(("iso latin-1", "x-user-defined", "ansinew", "iso_8859-1"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "x-gbk", "gb_2312-80", "euc-cn", "cp936"), "gb18030"),
    **dict.fromkeys(("big5", "big5-hkscs", "x-x-big5", "cn-big5", "cp950"), "big5hkscs"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "korean", "windows-949", "ksc5601"), "cp949"),
    **dict.fromkeys(("iso-8859-9", "latin5", "iso8859-9"), "cp1254"),
    **dict.fromkeys(("tis-620", "iso-8859-11", "windows-874"), "cp874"),
    **dict.fromkeys(("x-mac-cyrillic", "x-mac-ukrainian"), "mac_cyrillic"),
    **dict.fromkeys(("macintosh", "mac", "x-mac-roman", "applemac"), "mac_roman"),
    **dict.fromkeys(("iso-8859-8-i", "logical"), "iso8859-8"),
    **dict.fromkeys(("utf8x", "unicode utf-8", "unicode-1-1-utf-8", "utf-8-unix"), "utf-8"),
    **dict.fromkeys(("latin9", "iso-8859-15"), "iso8859-15"),
    "iso-2022-jp": "iso2022_jp_ext",
    "koi8-ru": "koi8-u",
    "koi": "koi8-r",
}
"""Labels whose meaning is wider than Python's codec of that name, or that Python does not know."""
_SUFFIX = re.compile(r"-(?:unix|dos|mac)$")
"""How Emacs adds the kind of line ends."""


def label(body: bytes) -> str | None:
    """What a text declares, as it is written there; None if it declares nothing."""
    head = body[:_LOOKED_AT].removeprefix(codecs.BOM_UTF8).decode("ascii", "replace")
    if (found := _XML.match(head)) is not None:
        return found.group(1)
    if head.lstrip().startswith("<") and (found := _META.search(head)) is not None:
        return found.group(1)
    for line in head.splitlines()[:_FIRST_LINES]:
        if (found := _COMMENT.match(line)) is not None:
            return found.group(1)
    for pattern in (_LATEX, _CATALOGUE, _GUTENBERG):
        if (found := pattern.search(head)) is not None:
            return found.group(1)
    return None


def codec(name: str) -> str | None:
    """Python's name of the encoding for a label; None for one that is unknown, or that contradicts
    itself: who can read `charset=utf-16` byte by byte does not read UTF-16, and takes it for UTF-8,
    as browsers do."""
    small = name.strip().lower()
    found = _OF_BROWSERS.get(small) or _OF_BROWSERS.get(_SUFFIX.sub("", small))
    if found is None:
        try:
            found = codecs.lookup(_SUFFIX.sub("", small)).name
            b"ab".decode(found)
        except (LookupError, ValueError):
            return None
    return "utf-8" if found.startswith(("utf-16", "utf-32")) else found
