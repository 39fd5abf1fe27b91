"""How well bytes fit Chinese, Japanese or Korean in an encoding of two bytes a character.

The national standards are sorted by frequency themselves: level 1 of GB 2312 and JIS X 0208, the
first plane of Big5 and the syllables of KS X 1001 are what texts consist of, so a wrong reading
shows itself by characters from elsewhere. Probabilities are of the same bytes as in letters.py, and
may be compared with those.
"""

from __future__ import annotations

import codecs
import functools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

_FREQUENT = {
    "gb18030": "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运",  # noqa: E501
    "big5hkscs": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作里用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指克許統區保至隊形社便空決治展馬科司五基眼書非則聽白卻界達光放強即像難且權思王象完設式色路記南品住告類求據程北邊死張該交規萬取拉格望覺術領共確傳師觀清今切院讓識候帶導爭運",  # noqa: E501
}
_MARKS = frozenset(
    "\u2014\u2018\u2019\u2026\u3000\u30fb\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f\uff5e"
    "、。《》「」『』“”·〈〉【】"
)


@dataclass(frozen=True)
class Fit:
    """How well bytes fit one encoding."""

    page: str
    """Python's name of the encoding."""
    score: float
    """The logarithm of the probability of all bytes beyond ASCII."""
    beyond: int
    """How many bytes that are."""
    strange: float
    """Share of its characters that texts hardly have, 0 to 1."""

    rare: float
    """Share of its characters that are in the second level of their standard, 0 to 1. EUC-TW, which
    Python cannot decode, is GB18030 with every second character from there."""

    @property
    def is_plausible(self) -> bool:
        """Whether this may be text at all."""
        return self.strange <= 0.08 + 1 / self.beyond and self.rare <= 0.15 + 1 / self.beyond

    @property
    def is_possible(self) -> bool:
        """Whether a person should look at it."""
        return self.strange <= 0.2


def fits(sample: bytes) -> list[Fit]:
    """Every encoding that decodes the sample, which may end within a character; the best first.
    Time is linear in the sample."""
    beyond = sum(byte >= 0x80 for byte in sample)
    found = []
    for page, judge in _PAGES.items():
        try:
            text = codecs.getincrementaldecoder(page)().decode(sample)
        except UnicodeDecodeError:
            continue
        characters = Counter(character for character in text if character > "\x7f")
        judged = [(judge(character), n) for character, n in characters.items()]
        strange = sum(n for score, n in judged if score <= _STRANGE)
        found.append(
            Fit(
                page,
                sum(score * n for score, n in judged),
                max(1, beyond),
                strange / max(1, characters.total()),
                sum(n for score, n in judged if score in _SECOND) / max(1, characters.total()),
            )
        )
    return sorted(found, key=lambda fit: -fit.score)


def _share(part: float, of: int) -> float:
    return math.log(part / of)


_STRANGE = _share(0.01, 15_000)
_SECOND_OF_GB, _SECOND_OF_BIG5 = _share(0.015, 3_008), _share(0.015, 7_652)
_SECOND_OF_JIS = _share(0.005, 3_390)
_SECOND = (_SECOND_OF_GB, _SECOND_OF_BIG5, _SECOND_OF_JIS)
_MARK = _share(0.12, 24)


@functools.cache
def _frequent(page: str) -> frozenset[str]:
    return frozenset(_FREQUENT[page])


def _is_wide_ascii(character: str) -> bool:
    return "\uff01" <= character <= "\uff5e"


def _simplified(character: str) -> float:
    """GB 2312 sorts its first level, 3,755 characters, from B0A1 to D7F9."""
    if character in _frequent("gb18030"):
        return _share(0.55, 300)
    if character in _MARKS:
        return _MARK
    body = character.encode("gb18030")
    if len(body) == 2 and 0xB0 <= body[0] <= 0xD7 and body[1] >= 0xA1:
        return _share(0.30, 3_455)
    if _is_wide_ascii(character):
        return _share(0.01, 94)
    if len(body) == 2 and 0xD8 <= body[0] <= 0xF7 and body[1] >= 0xA1:
        return _SECOND_OF_GB
    return _STRANGE


def _traditional(character: str) -> float:
    """Big5 sorts its frequent plane, 5,401 characters, from A440 to C67E."""
    if character in _frequent("big5hkscs"):
        return _share(0.55, 300)
    if character in _MARKS:
        return _MARK
    body = character.encode("big5hkscs")
    if b"\xa4\x40" <= body <= b"\xc6\x7e":
        return _share(0.30, 5_101)
    if _is_wide_ascii(character):
        return _share(0.01, 94)
    if b"\xc9\x40" <= body <= b"\xf9\xd5":
        return _SECOND_OF_BIG5
    return _STRANGE


def _japanese(character: str) -> float:
    if "\u3041" <= character <= "\u3096":
        return _share(0.5, 60)
    if "\u30a1" <= character <= "\u30fc":
        return _share(0.12, 80)
    if character in _MARKS:
        return _MARK
    if _is_wide_ascii(character):
        return _share(0.01, 94)
    body = character.encode("euc_jp", "ignore")
    if len(body) == 2 and 0xB0 <= body[0] <= 0xCF:
        return _share(0.25, 1_500)
    if len(body) == 2 and 0xD0 <= body[0] <= 0xF4:
        return _SECOND_OF_JIS
    return _STRANGE


def _korean(character: str) -> float:
    """KS X 1001 has 2,350 syllables, from B0A1 to C8FE; the others are rare."""
    if "\uac00" <= character <= "\ud7a3":
        body = character.encode("cp949")
        if body[0] >= 0xB0 and body[1] >= 0xA1:
            return _share(0.85, 900)
        return _share(0.001, 8_822)
    if character in _MARKS:
        return _MARK
    if _is_wide_ascii(character):
        return _share(0.01, 94)
    body = character.encode("cp949")
    if len(body) == 2 and 0xCA <= body[0] <= 0xFD:
        return _share(0.01, 4_888)
    return _STRANGE


_PAGES: dict[str, Callable[[str], float]] = {
    "gb18030": _simplified,
    "big5hkscs": _traditional,
    "cp932": _japanese,
    "euc_jp": _japanese,
    "cp949": _korean,
    "johab": _korean,
}
