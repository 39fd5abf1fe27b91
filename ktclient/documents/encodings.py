"""Guess the encoding of bytes that are not UTF-8; the guess is always reported, or there is none.

Every encoding reads the bytes, and the readings are compared: letters.py and double_byte.py say how
probable each is in a language that was written so. A reading is taken if it is text by itself, and
much more probable than every other that gives other letters. A short text fits many: then there is
no guess, and `candidates` says between which a person has to choose.
Libraries were measured on the same texts (tests/unit/ktclient/documents/test_encodings_table.py):
each sends some languages as other letters, which is worse than a refusal.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Sequence

from ktclient.documents import double_byte, letters, seven_bit
from ktclient.errors import BadInput

NAMES = {
    "gb18030": "GB18030",
    "big5hkscs": "Big5",
    "cp949": "EUC-KR",
    "johab": "Johab",
    "cp932": "Shift-JIS",
    "euc_jp": "EUC-JP",
}
"""Python's names, and the common ones."""
_WIDE = {"utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"}
_WIDEST = {"utf-32-le": "UTF-32LE", "utf-32-be": "UTF-32BE"}
LEAST_BYTES = 40
"""Minimum of non-ASCII bytes for a guess: twenty Chinese characters."""
_LEAST_LETTERS = 8
"""And in an encoding of one byte a letter."""
_MARGIN = 12.0
"""How much more probable than any other a reading must be, as a logarithm: 160,000 times."""
_SAMPLE = 65_536
_MOST_TIMES = 3
_MOST_CANDIDATES = 3
_EXCERPT = 24
_ASIAN_MARKS = re.compile("[\u3000-\u303f\uff00-\uff1f]")
_USUAL = re.compile(
    "[\t\n\r\f -~\u00a0-\u024f\u0370-\u04ff\u2010-\u2030\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]"
)
_HANGUL = re.compile("[\uac00-\ud7a3]")

Fit = letters.Fit | double_byte.Fit


def check(name: str) -> str:
    """Check an encoding's name and return it. Raises `BadInput` if Python does not know it."""
    try:
        b"ab".decode(name)  # Python looks up no name to decode empty bytes
    except UnicodeDecodeError:
        return name
    except (LookupError, ValueError):  # ValueError: NUL in it, or the codec "undefined"
        raise BadInput(
            f"unknown encoding {name!r}; common ones: UTF-8, GB18030, Big5, Shift-JIS, EUC-KR, "
            "UTF-16, CP1252"
        ) from None
    return name


def guess(body: bytes) -> tuple[str, str] | None:
    """The encoding of bytes that are not UTF-8, and the whole of them decoded; None if they are
    damaged UTF-8, too few to tell, or not plausible text."""
    if body.isascii() and b"\0" not in body:
        return seven_bit.guess(body)
    if b"\0" in body:
        return _widest(body) or _wide(body)
    sample = _telling(body)
    if _is_utf8(sample):
        return None
    return _chosen(_fits(sample), sample, body) or _wide(body)


def candidates(body: bytes) -> list[tuple[str, str]]:
    """The encodings in which all of these bytes may be text, the most probable first, and the
    beginning of what each makes of them; none for noise and for damaged UTF-8. At most three."""
    sample = _telling(body)
    if b"\0" in body or not sample or _is_utf8(sample):
        return []
    found: dict[str, str] = {}
    for fit in _fits(sample):
        text = sample.decode(fit.page, "ignore")
        if fit.is_possible and text not in found and _decodes(body, fit.page):
            found[text] = fit.page
            if len(found) == _MOST_CANDIDATES:
                break
    return [(name_of(page), _excerpt(text)) for text, page in found.items()]


def _decodes(body: bytes, page: str) -> bool:
    try:
        body.decode(page)
    except UnicodeDecodeError:
        return False
    return True


def is_likely(body: bytes, codec: str) -> bool:
    """Whether a declared encoding makes text of these bytes; also if nothing is known about it."""
    page = codecs.lookup(codec).name if codec else ""
    fits = [fit for fit in _fits(_telling(body)) if codecs.lookup(fit.page).name == page]
    known = {codecs.lookup(one).name for one in letters.pages()}
    return any(fit.is_plausible for fit in fits) or page not in known


def is_damaged_utf8(body: bytes) -> bool:
    """Whether bytes that are not UTF-8 are so only in a few places."""
    return _is_utf8(_telling(body))


def name_of(page: str) -> str:
    """The common name of one of Python's encodings, which Python understands as well."""
    name = page.replace("_", "-").upper()
    return NAMES.get(page, f"ISO-{name[3:]}" if name.startswith("ISO8859") else name)


def _telling(body: bytes) -> bytes:
    """The first lines that are not ASCII, each at most thrice: in a log, the others would outvote
    them, and repeated ones say nothing new."""
    telling: list[bytes] = []
    times: Counter[bytes] = Counter()
    size = 0
    for line in body.splitlines():
        if not line.isascii() and times[line] < _MOST_TIMES:
            telling.append(line)
            times[line] += 1
            size += len(line) + 1
            if size >= _SAMPLE:
                break
    return b"\n".join(telling)[:_SAMPLE]


def _fits(sample: bytes) -> list[Fit]:
    """All readings, the most probable first."""
    found: list[Fit] = [*letters.fits(sample), *double_byte.fits(sample)]
    return sorted(found, key=lambda fit: -fit.score)


def _chosen(fits: Sequence[Fit], sample: bytes, body: bytes) -> tuple[str, str] | None:
    """The best reading, if it is text and no other comes near it."""
    if not fits or not fits[0].is_plausible or fits[0].beyond < _least(fits[0]):
        return None
    best = fits[0]
    text = sample.decode(best.page, "ignore")
    alike = []
    for fit in fits:
        if sample.decode(fit.page, "ignore") == text:
            alike.append(fit.page)
        elif fit.score > best.score - _MARGIN or _is_closer(fit, best):
            return None
    for page in alike:
        try:
            return name_of(page), body.decode(page)
        except UnicodeDecodeError:
            continue
    return None


def _is_closer(fit: Fit, best: Fit) -> bool:
    """Whether a less probable reading is the better text: near in probability, and its letters
    are as frequent as in its language, while those of the best are not."""
    if isinstance(fit, double_byte.Fit) or isinstance(best, double_byte.Fit):
        return False
    is_near = fit.score > 1.15 * best.score
    return is_near and fit.is_plausible and fit.distance + 0.12 < best.distance


def _least(fit: Fit) -> int:
    return _LEAST_LETTERS if isinstance(fit, letters.Fit) else LEAST_BYTES


def _excerpt(text: str) -> str:
    """The first characters from the word before the first that is not ASCII."""
    line = next((line for line in text.splitlines() if not line.isascii()), "")
    place = next((place for place, one in enumerate(line) if one > "\x7f"), 0)
    start = line.rfind(" ", 0, place) + 1 if place > _EXCERPT else 0
    return line[start : start + _EXCERPT].strip()


def _is_utf8(sample: bytes) -> bool:
    """Whether it is UTF-8, perhaps damaged: nine tenths of its bytes beyond ASCII form characters
    of UTF-8, or half of them characters of three bytes, which other encodings seldom look like."""
    beyond = sum(byte >= 0x80 for byte in sample)
    sizes = [len(one.encode()) for one in sample.decode(errors="ignore") if one > "\x7f"]
    longer = sum(size for size in sizes if size > 2)
    return 10 * sum(sizes) > 9 * beyond or 2 * longer > beyond


def _widest(body: bytes) -> tuple[str, str] | None:
    """UTF-32 without a mark: no other data is a list of code points."""
    for encoding, name in _WIDEST.items():
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            continue
        if len(text) > 1 and "\0" not in text:
            return name, text
    return None


def _wide(body: bytes) -> tuple[str, str] | None:
    """UTF-16 without a mark: in the wrong byte order, text consists mostly of rare characters, and
    in neither order do other data look like text."""
    if len(body) % 2 or len(body) < LEAST_BYTES:
        return None
    for encoding, name in _WIDE.items():
        sample = body[:_SAMPLE].decode(encoding, "ignore")
        usual = len(_USUAL.findall(sample))
        if b"\0" in body:  # without a NUL, a line of GBK could pass for Hangul
            usual += len(_HANGUL.findall(sample))
        elif 100 * len(_ASIAN_MARKS.findall(sample)) < len(sample):
            continue
        if 100 * usual >= 97 * len(sample):
            try:
                return name, body.decode(encoding)
            except UnicodeDecodeError:
                continue
    return None
