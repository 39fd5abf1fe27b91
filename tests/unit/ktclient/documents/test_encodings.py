"""Text that is not UTF-8: what is guessed, what is not, and what is no text at all."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path

import pytest

from ktclient.documents import document as documents
from ktclient.errors import BadInput, DocumentUnusable

pytestmark = pytest.mark.each_python

OPENING = (Path(__file__).parents[3] / "data/hongloumeng-opening.txt").read_text()
REPORT = (
    "2025年第三季度经营报告\n一、总体情况:本季度公司实现营业收入12.6亿元,同比增长8.3%;净利润为"
    "1.42亿元。研发部 (R&D) 完成了 KTransformers 0.7.2 的部署,推理速度提升约35%。\n"
)
TAIWAN = (
    "人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心,並應以兄弟關係的精神互相對待。\n"
    "人人有資格享受本宣言所載的一切權利和自由,不分種族、膚色、性別、語言、宗教。\n"
)
CAT = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n何でも薄暗いじめじめした所で"
    "ニャーニャー泣いていた事だけは記憶している。吾輩はここで始めて人間というものを見た。\n"
)
KOREA = (
    "모든 국민은 인간으로서의 존엄과 가치를 가지며, 행복을 추구할 권리를 가진다. "
    "국가는 개인이 가지는 불가침의 기본적 인권을 확인하고 이를 보장할 의무를 진다.\n"
)
PROUST = (
    "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux se "
    "fermaient si vite que je n\u2019avais pas le temps de me dire : « Je m\u2019endors. »\n"
)
KAFKA = (
    "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte, fand er sich zu einem "
    "ungeheueren Ungeziefer verwandelt. Er lag auf seinem panzerartig harten Rücken und sah seinen "
    "gewölbten, braunen Bauch, auf dessen Höhe sich die Decke zum gänzlichen Niedergleiten bereit "
    "kaum noch erhalten konnte. Seine kläglich dünnen Beine flimmerten ihm hilflos vor den Augen.\n"
)
RUSSIA = "Все счастливые семьи похожи друг на друга, каждая несчастливая несчастлива по-своему.\n"  # noqa: RUF001
ENGLISH = "It was the best of times, it was the worst of times.\n"
CHINESE_LOG = "2025-01-01 12:00:01 INFO started worker\n" * 300 + REPORT


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (OPENING, "gb18030", "GB18030"),
        (OPENING * 200, "gb18030", "GB18030"),
        (REPORT, "gbk", "GB18030"),
        (CHINESE_LOG, "gbk", "GB18030"),
        (TAIWAN, "big5", "Big5"),
        (CAT, "shift_jis", "Shift-JIS"),
        (CAT * 20, "shift_jis", "Shift-JIS"),
        (CAT, "euc_jp", "EUC-JP"),
        (KOREA, "euc_kr", "EUC-KR"),
        (PROUST * 3, "cp1252", "CP1252"),
        (KAFKA * 3, "latin-1", "CP1252"),
        (RUSSIA * 3, "cp1251", "CP1251"),
        *((text, "utf-16-le", "UTF-16LE") for text in (OPENING, REPORT, CAT, KOREA, ENGLISH)),
        *((text, "utf-16-be", "UTF-16BE") for text in (OPENING, TAIWAN, KOREA, KAFKA, ENGLISH)),
    ],
)
def test_the_encoding_of_real_text_is_guessed_and_told(text: str, encoding: str, name: str) -> None:
    """Every character comes out as it was; the guess is kept, to be shown."""
    document = documents.from_bytes(text.encode(encoding), "t")
    assert (document.guessed, document.text) == (name, text)


def test_utf8_is_no_guess() -> None:
    """Nothing is said where nothing was guessed."""
    assert documents.from_bytes(OPENING.encode(), "t").guessed == ""
    assert documents.from_bytes(OPENING.encode("utf-16"), "t").guessed == ""


@pytest.mark.parametrize(
    ("body", "advised"),
    [
        (OPENING.encode()[:1999], "GB18030"),  # `head -c`: the last character is cut
        (OPENING.encode() + b"\xff" + OPENING.encode(), "GB18030"),
        (b"\xef\xbb\xbf" + OPENING.encode("gb18030"), "GB18030"),  # its mark says UTF-8
        ("文件未找到".encode("gbk"), "GB18030"),
        ("una caf\xe9".encode("latin-1"), "CP1252"),
        (OPENING.encode("gb18030")[:200] + b"\xff\xff" + OPENING.encode("gb18030"), "GB18030"),
        (TAIWAN.encode("big5") + b"\x80", "GB18030"),
    ],
)
def test_damaged_text_and_little_text_are_not_guessed_about(body: bytes, advised: str) -> None:
    """A wrong guess would send garbage; the refusal names the place, and what to set."""
    place = rf"not UTF-8: byte 0x.. at offset [\d,]+\..*--encoding {advised}$"
    with pytest.raises(DocumentUnusable, match=place):
        documents.from_bytes(body, "t")


def test_no_guess_is_made_of_noise() -> None:
    """Neither of random bytes, nor of such without NULs."""
    for _ in range(20):
        noise = os.urandom(5000)
        for body in (noise, noise.replace(b"\0", b"")):
            with pytest.raises(DocumentUnusable):
                documents.from_bytes(b"\xfe" + body, "t")


def test_an_encoding_that_is_named_is_taken() -> None:
    """Also for little text, for one that is never guessed, and against the guess."""
    assert documents.from_bytes("文件".encode("gbk"), "t", encoding="gbk").text == "文件"
    assert documents.from_bytes("źle".encode("cp1250"), "t", encoding="cp1250").text == "źle"
    body = OPENING.encode("gb18030")
    named = documents.from_bytes(body, "t", encoding="latin-1", raw=True)  # it has soft hyphens
    assert (named.text, named.guessed) == (body.decode("latin-1"), "")
    marked = documents.from_bytes("\ufeffa\r\n文".encode("utf-16-le"), "t", encoding="utf-16")
    assert marked.text == "a\n文"


def test_what_is_not_in_the_named_encoding_is_refused_with_its_place() -> None:
    """Not a byte is dropped to make it fit."""
    body = b"good " + "荒唐".encode("gbk") + b"\xff"
    with pytest.raises(DocumentUnusable, match=r"t is not GBK: byte 0xff at offset 9\."):
        documents.from_bytes(body, "t", encoding="gbk")


@pytest.mark.parametrize("name", ["klingon", "base64", "", "a\0b", "undefined"])
def test_an_encoding_that_there_is_not_is_named(name: str) -> None:
    """Python's codecs that are not for text neither."""
    with pytest.raises(BadInput, match="unknown encoding"):
        documents.from_bytes(b"text", "t", encoding=name)


def _zip(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "application/epub+zip" if name == "mimetype" else "x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"%PDF-1.7\nall of it ASCII", "is a damaged PDF"),
        (_zip("a.txt"), "a ZIP archive, not text"),
        (_zip("[Content_Types].xml", "word/document.xml"), "read as DOCX; it may be damaged"),
        (_zip("[Content_Types].xml", "xl/workbook.xml"), "XLSX"),
        (_zip("mimetype", "content.opf"), "is damaged: it has no part META-INF/container.xml"),
        (gzip.compress(ENGLISH.encode()), "a gzip file.*zcat"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"\xff\xd8\xff\xe0", "a JPEG image"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP image"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Office document"),
        (b"x" * 257 + b"ustar", "a tar archive"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",  # archives hold the time
)
@pytest.mark.parametrize("encoding", [None, "latin-1"])
def test_what_is_no_text_is_refused_by_its_name(
    body: bytes, words: str, encoding: str | None
) -> None:
    """With the way to its text, also where an encoding is named."""
    with pytest.raises(DocumentUnusable, match=words):
        documents.from_bytes(body, "t", encoding=encoding)


def test_text_that_begins_like_a_format_is_text() -> None:
    """Marks of a few letters are words too."""
    for text in ("BZhang wrote home.", "GGUF is a format.", "PK\n", "GIF images\n"):
        assert documents.from_bytes(text.encode(), "t").text == text
