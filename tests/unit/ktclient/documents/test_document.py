"""Documents: what is read as text, what is refused, and how the refusal helps."""

from __future__ import annotations

import io
import os
import re
import sqlite3
import sys
from pathlib import Path

import pytest

from ktclient.documents import document as documents
from ktclient.errors import DocumentUnusable

pytestmark = pytest.mark.each_python

POEM = "满纸荒唐言,一把辛酸泪!\nEvery page: a café.\n"
MARKED = {
    "utf-8": "\ufeff".encode(),
    "utf-16-le": b"\xff\xfe",
    "utf-16-be": b"\xfe\xff",
    "utf-32-le": b"\xff\xfe\0\0",
    "utf-32-be": b"\0\0\xfe\xff",
}


def test_utf8_is_read_as_it_is(tmp_path: Path) -> None:
    """The title is the file's name, the text all of it."""
    path = tmp_path / "poem.txt"
    path.write_bytes(POEM.encode())
    assert documents.read(str(path)) == documents.Document("poem.txt", POEM)


@pytest.mark.parametrize("encoding", MARKED)
def test_a_byte_order_mark_names_the_encoding_and_is_dropped(encoding: str) -> None:
    """What Windows and other tools write is understood."""
    body = MARKED[encoding] + POEM.encode(encoding)
    assert documents.from_bytes(body, "poem").text == POEM


@pytest.mark.parametrize("encoding", MARKED)
def test_raw_keeps_the_byte_order_mark(encoding: str) -> None:
    """--raw sends what is there, decoded."""
    body = MARKED[encoding] + "a\r\nb\rc".encode(encoding)
    assert documents.from_bytes(body, "poem", raw=True).text == "\ufeffa\r\nb\rc"


def test_line_ends_become_newlines_unless_raw() -> None:
    """CRLF, a lone CR and a lone LF each end one line."""
    body = b"one\r\ntwo\rthree\nfour\r\n\r\nfive\n\rsix"
    assert documents.from_bytes(body, "t").text == "one\ntwo\nthree\nfour\n\nfive\n\nsix"
    assert documents.from_bytes(body, "t", raw=True).text == body.decode()


def test_given_text_is_normalised_like_a_file() -> None:
    """`submit_long("text")` and a file with that text send the same."""
    given = documents.from_text("\ufeffone\r\ntwo", "text")
    assert given == documents.Document("text", "one\ntwo", line_ends=1)
    assert documents.from_text("\ufeffa\r\n", "text", raw=True).text == "\ufeffa\r\n"


@pytest.mark.parametrize("half", ["\ud83d", "\udcff", "\udfff"])
def test_half_a_character_in_given_text_is_refused_with_its_place(half: str) -> None:
    """A lone surrogate cannot be sent as UTF-8."""
    with pytest.raises(DocumentUnusable, match="position 6"):
        documents.from_text(f"before{half}after", "text")


@pytest.mark.parametrize("raw", [False, True])
def test_nul_bytes_are_not_text(raw: bool) -> None:
    """UTF-16 without a mark would be seen as UTF-8 with NULs."""
    for body in (b"a\0b", "poem".encode("utf-16-le")):
        with pytest.raises(DocumentUnusable, match="poem is not text"):
            documents.from_bytes(body, "poem", raw=raw)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    "body", [b"", b" \t\r\n\f", "\u3000\u2003\n".encode(), b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"]
)
def test_a_document_without_a_word_is_refused(body: bytes, raw: bool) -> None:
    """Empty, or nothing but blanks and a byte order mark: nothing is sent."""
    with pytest.raises(DocumentUnusable, match=r"poem is empty; nothing was submitted"):
        documents.from_bytes(body, "poem", raw=raw)


def test_a_folder_is_refused_as_a_folder(tmp_path: Path) -> None:
    """The message says what it is and what to do."""
    with pytest.raises(DocumentUnusable, match="is a folder; name a text file in it") as refused:
        documents.read(str(tmp_path))
    assert str(tmp_path) in str(refused.value)


def test_a_file_that_is_no_text_is_named_with_its_path(tmp_path: Path) -> None:
    """As it was given; a document's title is its name alone."""
    path = tmp_path / "data" / "x"
    path.parent.mkdir()
    path.write_bytes(b"\0\1\2")
    with pytest.raises(DocumentUnusable, match=f"^{re.escape(str(path))} is not text"):
        documents.read(str(path))
    path.write_text("Text.")
    assert documents.read(str(path)).title == "x"


@pytest.mark.parametrize("name", ["no-such-file.txt", "-x", "it's", 'a "b"', ""])
def test_a_missing_file_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also one that looks like an option, holds quotes, or is empty."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DocumentUnusable) as refused:
        documents.read(name)
    assert name in str(refused.value)


@pytest.mark.parametrize("name", ["x" * 300, "/proc/self/mem", "a\0b"])
def test_what_cannot_be_read_is_refused_with_the_reason(name: str) -> None:
    """A name too long, a file that fails when read, a name that no file can have."""
    with pytest.raises(DocumentUnusable, match=r"cannot read .+: \w+"):
        documents.read(name)


def test_too_little_to_guess_by_is_refused_with_its_place_and_the_cure() -> None:
    """A title in GB18030: an offset, a byte, and the option."""
    body = b"Title\n" + "满纸荒唐言".encode("gb18030")
    with pytest.raises(DocumentUnusable) as refused:
        documents.from_bytes(body, "红楼梦.txt")
    message = str(refused.value)
    assert "红楼梦.txt is not UTF-8" in message
    assert f"byte {body[6]:#04x} at offset 6" in message
    assert "--encoding GB18030" in message


def test_a_bad_byte_behind_a_byte_order_mark_is_found_where_it_is() -> None:
    """The offset is that in the file, for a look with xxd."""
    body = b"\xef\xbb\xbfgood \xe9 bad"
    with pytest.raises(DocumentUnusable, match="byte 0xe9 at offset 8"):
        documents.from_bytes(body, "poem")


def test_a_bad_byte_far_inside_is_found() -> None:
    """Offsets are written with thousands separators."""
    with pytest.raises(DocumentUnusable, match="byte 0xff at offset 1,000,000"):
        documents.from_bytes(b"x" * 1_000_000 + b"\xff", "poem")


def test_half_a_unit_of_utf16_is_refused() -> None:
    """A file that was cut off is not sent with a made-up end."""
    with pytest.raises(DocumentUnusable):
        documents.from_bytes(b"\xff\xfeh\0i", "poem")


def test_a_program_is_called_binary() -> None:
    """No offer to name its encoding."""
    with Path(sys.executable).open("rb") as file:
        body = file.read(1 << 16)
    with pytest.raises(DocumentUnusable, match="binary") as refused:
        documents.from_bytes(body, "python")
    assert "--encoding" not in str(refused.value)


def test_controls_that_text_files_hold_are_text() -> None:
    """Form feeds of RFCs and colours of logs are no sign of a binary file."""
    assert documents.from_bytes(b"page\f\x1b[1mbold\x1b[0m\n", "log").text.startswith("page\f")


def test_standard_input_is_read_as_bytes() -> None:
    """With a mark, CRLFs and a title for people."""
    document = documents.read("-", stdin=io.BytesIO("\ufeff红楼\r\n".encode()))
    assert document == documents.Document("standard input", "红楼\n", line_ends=1)


def test_refused_standard_input_is_called_by_its_name() -> None:
    """There is no file name to show."""
    with pytest.raises(DocumentUnusable, match="standard input is empty"):
        documents.read("-", stdin=io.BytesIO())


def test_closed_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ktjob submit - <&-`: Python has no sys.stdin then."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DocumentUnusable, match="standard input"):
        documents.read("-")


@pytest.mark.parametrize("name", ["-dash.txt", 'it\'s "quoted".txt', "two\nlines.txt", "$(x).txt"])
def test_a_file_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Leading dashes, quotes, line ends and shell syntax are just characters."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("text")
    assert documents.read(name).text == "text"


def test_a_name_with_a_line_end_does_not_break_the_message() -> None:
    """Errors are one line, whatever files are called."""
    with pytest.raises(DocumentUnusable) as refused:
        documents.read("no such\nfile")
    assert "\n" not in str(refused.value)


def test_a_file_whose_name_is_no_utf8_has_a_title_that_can_be_stored(tmp_path: Path) -> None:
    """Names on Linux are bytes; SQLite and terminals want text."""
    path = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    with open(path, "wb") as file:  # noqa: PTH123 - pathlib cannot be given bytes
        file.write(b"text")
    document = documents.read(os.fsdecode(path))
    assert document.text == "text"
    database = sqlite3.connect(":memory:")
    try:
        (stored,) = database.execute("select ?", (document.title,)).fetchone()
    finally:
        database.close()
    assert stored.startswith("caf") and stored.endswith(".txt")


@pytest.mark.parametrize("raw", [False, True])
def test_a_document_is_kept_as_it_is_marks_and_all(raw: bool) -> None:
    """What is harmless depends on the model that will read it: that is done when a request is
    composed, for the model of that moment (test_turn_marks.py)."""
    text = "before <|im_start|>system <s> [INST] after"
    assert documents.from_text(text, "poem", raw=raw).text == text


def test_a_document_of_no_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its size before it is read; a device or a pipe after so much. The cure is in the words."""
    monkeypatch.setattr(documents, "MOST_BYTES", 1_000_000)
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(10**12)  # reading that would take hours
    with Path("/dev/zero").open("rb") as endless:
        for name in (str(large), "/dev/zero", "-"):
            with pytest.raises(DocumentUnusable, match=r"1 MB.*split"):
                documents.read(name, stdin=endless)
    with pytest.raises(DocumentUnusable, match="split"):
        documents.from_text("x" * 1_000_001, "text")
    large.write_text("y" * 1_000_000)
    assert len(documents.read(str(large)).text) == 1_000_000
