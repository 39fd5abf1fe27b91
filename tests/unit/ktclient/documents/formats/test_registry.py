"""PDF, DOCX, PPTX, HTML and EPUB as text: real files, broken ones, and hostile ones.

tests/data/documents was written by python-docx 1.2 and pypdf 7.1 (`locked.pdf`: AES-256).
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pptx
import pytest

from ktclient.documents import collection, magic, turn_marks
from ktclient.documents import document as documents
from ktclient.documents.formats import registry
from ktclient.errors import DocumentUnusable

pytestmark = pytest.mark.each_python

ROOT = Path(__file__).parents[5]
DATA = ROOT / "tests" / "data" / "documents"
PAGE = """<!-- saved --><!DOCTYPE html><html><head><title>The Ferry</title><style>p{}</style>
</head><body><script>alert("no")</script><h2>Fog</h2><p>Ann <a href="x">waited</a> for it_all.
<ul><li>a cat<li>a dog</ul><table><tr><th>port<th>time<tr><td>Oban<td>7:30</table></html>"""
CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OPS/book.opf"/></rootfiles></container>"""
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"><manifest>
<item id="b" href="two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="one.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="cover.jpg" media-type="image/jpeg"/></manifest>
<spine><itemref idref="c"/><itemref idref="a"/><itemref idref="b"/></spine></package>"""


def archive(parts: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            kind = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            made.writestr(name, content, kind)
    return file.getvalue()


def epub(**more: str) -> bytes:
    parts: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OPS/book.opf": PACKAGE,
        "OPS/one.xhtml": "<html><body><h1>One</h1><p>红楼 was far.</p></body></html>",
        "OPS/two b.xhtml": "<html><body><h1>Two</h1><p>The end.</p></body></html>",
    }
    return archive({**parts, **more})


def deck() -> bytes:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "The Ferry"
    slide.placeholders[1].text = "late\nfoggy"
    slide.notes_slide.notes_text_frame.text = "Say hello."
    slide = made.slides.add_slide(made.slide_layouts[6])
    table = slide.shapes.add_table(1, 2, 0, 0, 100, 100).table
    table.cell(0, 0).text, table.cell(0, 1).text = "Oban", "7:30"
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def test_a_pdf() -> None:
    """Its pages, with headings where the outline has them."""
    read = documents.read(str(DATA / "ferry.pdf"))
    assert read.text == (
        "# Fog\n\nAnn waited for the ferry with her dog.\nIt was late.\n\n## Times\n\nOban 7:30\n"
    )
    assert (read.title, read.read_as) == ("ferry.pdf", "PDF, 2 pages, by pypdfium2")


def test_a_word_document() -> None:
    """Headings, lists, a table, and characters that are marks elsewhere."""
    read = documents.read(str(DATA / "ferry.docx"))
    assert read.text == (
        "# The Ferry to Mull\n\n# Fog\n\nAnn waited for it with her dog. It was *late* & the "
        "fog_bank stayed: 红楼梦.\n\n- one cat\n- two dogs\n\n## Times\n\n"
        "| port | time |\n| --- | --- |\n| Oban | 7:30 |\n"
    )
    assert read.read_as.startswith("DOCX, ") and read.read_as.endswith("by mammoth")


def test_a_presentation() -> None:
    """Slides under their numbers and titles; notes and tables."""
    read = documents.from_bytes(deck(), "deck.pptx")
    assert read.text == (
        "# Slide 1: The Ferry\n\nlate\nfoggy\n\nNotes: Say hello.\n\n# Slide 2\n\n| Oban | 7:30 |\n"
    )
    assert read.read_as == "PPTX, 2 slides, by python-pptx"


def test_a_book() -> None:
    """In reading order; fonts may be encrypted, chapters not."""
    fonts = '<x><CipherReference xmlns="http://www.w3.org/2001/04/xmlenc#" URI="OPS/{}"/></x>'
    read = documents.from_bytes(epub(**{"META-INF/encryption.xml": fonts.format("f.otf")}), "b")
    assert read.text == "# One\n\n红楼 was far.\n\n# Two\n\nThe end.\n"
    assert read.read_as == "EPUB, 2 chapter files, without 1 picture page, by markdownify"
    locked = epub(**{"META-INF/encryption.xml": fonts.format("one.xhtml")})
    with pytest.raises(DocumentUnusable, match="b is locked"):
        documents.from_bytes(locked, "b")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gbk"])
def test_a_web_page(encoding: str) -> None:
    """Also as pages are written, without closing marks; in the encoding that it names; raw it is
    its source."""
    page = PAGE.replace("<head>", '<head><meta charset="gb2312">').replace("a cat", "红楼梦")
    read = documents.from_bytes(page.encode(encoding), "page.html")
    assert read.text == (
        "# The Ferry\n\n## Fog\n\nAnn waited for it_all.\n\n- 红楼梦\n- a dog\n\n"
        "| port | time |\n| --- | --- |\n| Oban | 7:30 |\n"
    )
    assert read.read_as.startswith("HTML") and (read.guessed == "GB18030") == (encoding == "gbk")
    raw = documents.from_bytes(page.encode(encoding), "page.html", raw=True)
    assert raw.text.removeprefix("\ufeff") == page and not raw.read_as


def test_text_about_html_is_text() -> None:
    """A page begins as one; and text that is handed in from Python is what it is."""
    for text in ("<htmlish>", "See <html> here.", "# <!DOCTYPE html>\n"):
        assert documents.from_bytes(text.encode(), "t").text == text
    assert documents.from_text(PAGE, "text").text == PAGE


def test_a_page_that_is_nested_beyond_measure_loses_nothing() -> None:
    """As plain text then."""
    page = "<html><body>" + "<div>" * 5000 + "deep <b>down</b>" + "<script>no</script>"
    assert documents.from_bytes(page.encode(), "t").text == "deep down\n"


def test_turn_marks_in_them_are_text_like_any_other() -> None:
    """Also where the page writes them with entities: they are made harmless when a request is
    composed, by what the reader found."""
    page = b"<html><body><p>a &lt;|im_end|&gt; b"
    read = documents.from_bytes(page, "t")
    assert turn_marks.of_model().harmless(read.text) == "a < |im_end|> b\n"


def bomb() -> bytes:
    """Made by the one test that reads it: it takes a second."""
    return archive({"word/document.xml": b" " * 201_000_000})


ENTITIES = "".join(
    f'<!ENTITY {name} "{f"&{inner};" * 60}">' for name, inner in ("ab", "bc", "cd", "de", "ef")
)
LAUGHS = f'<!DOCTYPE x [<!ENTITY f "ha">{ENTITIES}]><x>&a;</x>'
"""60 to the power of 5 of them."""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ((DATA / "locked.pdf").read_bytes(), "is protected by a password.*qpdf"),
        (
            (DATA / "scan.pdf").read_bytes(),
            "is a scan: its 2 pages contain pictures and no text.*ocrmypdf",
        ),
        ((DATA / "ferry.pdf").read_bytes()[:600], "damaged|scan"),
        ((DATA / "ferry.docx").read_bytes()[:5000], "is damaged"),
        (archive({"word/document.xml": "<x>"}), "read as DOCX; it may be damaged"),
        (lambda: deck().replace(b"slide1.xml", b"slide9.xml"), "read as PPTX; it may be damaged"),
        (epub(**{"OPS/book.opf": "<x/>"}), "contains no text"),
        (epub(**{"META-INF/container.xml": LAUGHS}), "read as EPUB; it may be damaged"),
        (bomb, "unpacks to 201 MB: .*bomb"),
        (b"<html><body><script>all()</script></body></html>", "contains no text, .*scripts"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "protected by a password, not text; save it without one",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "__properties_version1.0".encode("utf-16-le"),
            r"is an Outlook message \(MSG\), not text; save it as .* a mail \(EML\)",
        ),
    ],
    ids=[
        "locked",
        "scan",
        "cut",
        "cut-docx",
        "xml",
        "deck",
        "book",
        "laughs",
        "bomb",
        "js",
        "ole",
        "msg",
    ],
)
def test_what_cannot_be_read_is_refused_in_words(
    body: bytes | Callable[[], bytes], words: str
) -> None:
    """With what to do; nothing is half read."""
    body = body if isinstance(body, bytes) else body()
    with pytest.raises(DocumentUnusable, match=f"d.x .*{words}") as refused:
        documents.from_bytes(body, "d.x")
    assert "Traceback" not in str(refused.value) and len(str(refused.value)) < 400


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message names it; a web page is sent as its source, and that is said; in a folder such
    files are passed over and told."""
    for name in ("pypdfium2", "markdownify"):
        monkeypatch.setitem(sys.modules, name, None)
    install = r"not installed: .*pip install 'ktjob\[documents\]'. Or extract.*pdftotext"
    with pytest.raises(DocumentUnusable, match=install):
        documents.read(str(DATA / "ferry.pdf"))
    page = documents.from_bytes(PAGE.encode(), "page.html")
    assert page.text == PAGE and "HTML source" in page.read_as and "ktjob[doc" in page.read_as
    (tmp_path / "a.pdf").write_bytes((DATA / "ferry.pdf").read_bytes())
    (tmp_path / "b.txt").write_text("text")
    given = collection.gather([str(tmp_path)])
    assert [one.text for one in given.documents] == ["text"]
    assert [name.rpartition("/")[2] for name in given.passed_over] == ["a.pdf"]


def test_in_a_folder_they_are_read(tmp_path: Path) -> None:
    """Joined too, each under its name."""
    (tmp_path / "a.pdf").write_bytes((DATA / "ferry.pdf").read_bytes())
    (tmp_path / "b.txt").write_text("text")
    (given,) = collection.gather([str(tmp_path)], join=True).documents
    assert "a.pdf <==\n\n# Fog\n" in given.text and given.text.endswith("b.txt <==\n\ntext")
    assert given.read_as == "PDF, 2 pages, by pypdfium2"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<title>Tides</title><p>10<sup>6</sup>", "# Tides\n\n10^6\n"),
        ("<h1>Tides</h1>\n<p>High &amp; low.</p>\n", "# Tides\n\nHigh & low.\n"),
        ("<p>One.<p>Two.", "One.\n\nTwo.\n"),
        ("<p align='center'>\n<img src='x'></p>\n\n# Tides\n\nHigh &amp; low.\n", None),
        ("<h1>Tides</h1>\n\nHigh &amp; low.\n", None),
        ("<template><p>{{ tide }}</p></template>", None),
        ("<p>a note to self", "a note to self\n"),
    ],
)
def test_a_page_without_html_around_it(source: str, text: str | None) -> None:
    """Is one all the same; Markdown that begins with HTML is none."""
    assert documents.from_bytes(source.encode(), "t").text == (source if text is None else text)


def test_the_reference_says_of_each_format_what_is_read_and_what_is_counted() -> None:
    """Its table has all formats with their readers, and each kind of content that they count."""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    section = text.partition("## Document formats\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    rows = [line.strip("| ").split(" | ") for line in lines[1:]]
    names = [*magic.FORMATS, registry.HTML]
    known = [name for name in names if registry.is_readable(name)]
    assert {(row[0], row[1]) for row in rows} == {
        (registry.short(name), registry.library(name)) for name in known
    }
    said = " ".join(row[3] for row in rows)
    folder = ROOT / "ktclient" / "documents" / "formats"
    sources = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    counted = set(re.findall(r'(?:left\.add|_counted)\(\s*(?:shape, )?"([\w ]+)"', sources))
    assert len(counted) > 15
    for noun in counted:
        assert re.search(rf"\b{noun}s?\b", said), noun
