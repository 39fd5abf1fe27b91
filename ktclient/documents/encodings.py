"""Guess the encoding of bytes that are not UTF-8; the guess is always reported, or there is none.

charset-normalizer judges how plausible each decoding looks. It gets only a few encodings, each the
largest of its family (GB18030 contains GBK and GB2312): among all of its ninety it takes a German
letter for Polish. Of a log it gets only the lines that are not ASCII: the rest would outvote them.
Three signs are more reliable than its verdict on a few hundred bytes: Japanese has hiragana,
Western letters stand alone, and UTF-16 makes sense in one byte order only. A short text fits many
encodings: then there is no guess.
"""

from __future__ import annotations

import re

from ktclient.errors import BadInput

NAMES = {
    "gb18030": "GB18030",
    "big5hkscs": "Big5",
    "cp949": "EUC-KR",
    "cp1251": "CP1251",
}
"""Python's names, and the common ones."""
_JAPANESE = {"cp932": "Shift-JIS", "euc_jp": "EUC-JP"}
_WESTERN = {"cp1252": "CP1252"}
_WIDE = {"utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"}
LEAST_BYTES = 40
"""Minimum of non-ASCII bytes for a guess: twenty Chinese characters."""
_LEAST_LONE = 8
"""Or this many, if nearly all stand between ASCII letters: Western accents do, halves of Chinese
characters do not."""
_SAMPLE = 65_536
_RUN = re.compile(rb"[\x80-\xff]+")
_HIRAGANA = re.compile("[\u3041-\u3096]")
_ASIAN_MARKS = re.compile("[\u3000-\u303f\uff00-\uff1f]")
_USUAL = re.compile(
    "[\t\n\r\f -~\u00a0-\u024f\u0370-\u04ff\u2010-\u2030\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]"
)
_HANGUL = re.compile("[\uac00-\ud7a3]")


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
    if b"\0" in body:
        return _wide(body)
    telling = b"\n".join(line for line in body.splitlines() if not line.isascii())
    sample = telling[:_SAMPLE]
    runs = _RUN.findall(sample)
    beyond = sum(map(len, runs))
    if beyond >= _LEAST_LONE and 5 * sum(len(run) == 1 for run in runs) > 4 * len(runs):
        return _best(telling, body, _WESTERN)
    if beyond < LEAST_BYTES or _is_damaged_utf8(sample, beyond):
        return None
    return _japanese(body) or _best(telling, body, NAMES) or _wide(body)


def _best(telling: bytes, body: bytes, names: dict[str, str]) -> tuple[str, str] | None:
    import charset_normalizer

    found = charset_normalizer.from_bytes(
        telling, cp_isolation=list(names), preemptive_behaviour=False, enable_fallback=False
    )
    for match in found:
        try:
            return names[match.encoding], body.decode(match.encoding)
        except (KeyError, UnicodeDecodeError):  # KeyError: "ascii" and "utf_8" are always tried
            continue
    return None


def _japanese(body: bytes) -> tuple[str, str] | None:
    """Decoded correctly, a tenth or more of Japanese is hiragana; decoded wrongly, hardly any."""
    for encoding, name in _JAPANESE.items():
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            continue
        beyond = [c for c in text if c > "\x7f"][:_SAMPLE]
        if 10 * len(_HIRAGANA.findall("".join(beyond))) > len(beyond):
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


def _is_damaged_utf8(sample: bytes, beyond: int) -> bool:
    """Whether most of it is UTF-8: characters of three bytes or more rarely occur by chance in
    other encodings."""
    characters = sample.decode(errors="ignore")
    return 2 * sum(len(c.encode()) for c in characters if c >= "\u0800") > beyond
