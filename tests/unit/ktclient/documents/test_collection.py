"""Several files and folders in one submit: which are read, in which order, what is passed over."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from ktclient.documents import collection
from ktclient.documents import document as documents
from ktclient.errors import BadInput, DocumentUnusable

pytestmark = pytest.mark.each_python


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder of all kinds of files."""
    folder = tmp_path / "notes"
    for name in ("b.txt", "a/two.md", "a/one.md", "c/deep/er.txt", ".hidden", ".git/config"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"text of {name}\n")
    (folder / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (folder / "data.bin").write_bytes(bytes(range(256)))
    (folder / "empty.txt").touch()
    os.mkfifo(folder / "pipe")
    (folder / "again").symlink_to(folder)
    (folder / "gone").symlink_to("nowhere")
    return folder


def titles(given: collection.Collection) -> list[str]:
    return [document.title for document in given.documents]


def test_a_folder_is_its_text_files_in_order(notes: Path) -> None:
    """To its depths; hidden ones are left out, links to folders and pipes too, and what is no text
    or empty is told."""
    given = collection.gather([str(notes)])
    assert titles(given) == [
        "notes/a/one.md",
        "notes/a/two.md",
        "notes/b.txt",
        "notes/c/deep/er.txt",
    ]
    assert given.passed_over == ("notes/data.bin", "notes/empty.txt", "notes/image.png")
    assert given.documents[0].text == "text of a/one.md\n"


def test_names_are_taken_in_the_order_given(notes: Path, tmp_path: Path) -> None:
    """Files, folders, standard input; a folder named "." has a name of its own."""
    (tmp_path / "z.txt").write_text("last letter, first file")
    names = [str(tmp_path / "z.txt"), "-", str(notes / "c/deep" / ".")]
    given = collection.gather(names, stdin=io.BytesIO(b"piped"))
    assert titles(given) == ["z.txt", "standard input", "deep/er.txt"]


def test_text_in_a_folder_that_cannot_be_read_is_never_passed_over(notes: Path) -> None:
    """It would be missed, and nobody would know; in another encoding it is read."""
    (notes / "d.txt").write_bytes("荒唐".encode("gbk"))
    with pytest.raises(DocumentUnusable, match=r"d\.txt is not UTF-8"):
        collection.gather([str(notes)])
    assert collection.gather([str(notes)], encoding="gbk").documents[-1].text == "荒唐"
    (notes / "d.txt").write_text("It was the best of times, it was the worst", "utf-16-le")
    assert collection.gather([str(notes)]).documents[-1].guessed == "UTF-16LE"


def test_a_file_that_was_named_is_not_passed_over(notes: Path) -> None:
    """One bad name among good ones refuses them all."""
    for bad, words in (
        ("image.png", "a PNG image"),
        ("empty.txt", "is empty"),
        ("x", "file not found"),
    ):
        with pytest.raises(DocumentUnusable, match=words):
            collection.gather([str(notes / "b.txt"), str(notes / bad)])


def test_folders_without_text_are_refused(tmp_path: Path) -> None:
    """Nothing would be sent."""
    with pytest.raises(DocumentUnusable, match="no text file"):
        collection.gather([str(tmp_path)])


@pytest.mark.parametrize("url", ["https://example.org/a.txt", "http://x", "ftp://x/y", "s3://b/k"])
def test_a_url_is_refused_with_the_cure(url: str) -> None:
    """Not as a file that is missing."""
    with pytest.raises(BadInput, match=r"is a URL.*curl -fsSL URL \| ktjob submit -"):
        collection.gather([url])


def test_standard_input_is_read_once() -> None:
    """The second reading would be empty."""
    with pytest.raises(BadInput, match="only once"):
        collection.gather(["-", "-"], stdin=io.BytesIO(b"piped"))


def test_what_is_too_many_or_too_much_is_refused(
    notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ktjob submit ~`."""
    monkeypatch.setattr(documents, "MOST_BYTES", 40)
    with pytest.raises(BadInput, match="submit fewer"):
        collection.gather([str(notes)])
    monkeypatch.setattr(documents, "MOST_BYTES", 10**8)
    monkeypatch.setattr(collection, "MOST_FILES", 3)
    with pytest.raises(BadInput, match="more than 3 files"):
        collection.gather([str(notes)])


def test_joined_each_file_is_under_its_name(notes: Path) -> None:
    """One document, nothing of any left out."""
    given = collection.gather([str(notes / "a"), str(notes / "b.txt")], join=True)
    (document,) = given.documents
    assert document.title == "a/one.md and 2 more"
    assert document.text == (
        "==> a/one.md <==\n\ntext of a/one.md\n\n\n"
        "==> a/two.md <==\n\ntext of a/two.md\n\n\n"
        "==> b.txt <==\n\ntext of b.txt\n"
    )


def test_what_was_done_to_the_parts_is_told_of_the_whole(tmp_path: Path) -> None:
    """Line ends, guesses; a name cannot break the line."""
    (tmp_path / "a\n<|im_end|>").write_bytes(b"one<|im_end|>\r\ntwo\r\n")
    (tmp_path / "b").write_text("It was the best of times, it was the worst", "utf-16-le")
    (document,) = collection.gather([str(tmp_path)], join=True).documents
    assert (document.line_ends, document.guessed) == (2, "UTF-16LE")
    assert document.text.count("<==\n") == 2


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.txt", ["b.txt", "empty.txt"]),
        ("a/[ot]*.md", ["one.md", "two.md"]),
        ("a/t?o.md", ["two.md"]),
        ("**/*.md", ["one.md", "two.md"]),
        ("c/*", ["deep/er.txt"]),
        ("c/**", ["er.txt"]),
        (".hid*", [".hidden"]),
        ("../notes/b*", ["b.txt"]),
    ],
)
def test_a_pattern_that_no_shell_expanded(
    notes: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, found: list[str]
) -> None:
    """Quoted, or from Python: what it matches, in order, folders as folders; each file once."""
    (notes / "empty.txt").write_text("no longer")
    monkeypatch.chdir(notes)
    assert titles(collection.gather([pattern])) == found


def test_a_pattern_that_matches_nothing_or_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is refused; a file of that very name is read."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DocumentUnusable, match=r"no file matches \*\.txt"):
        collection.gather(["*.txt"])
    Path("a[1].txt").write_text("one")
    Path("a1.txt").write_text("another")
    assert titles(collection.gather(["a[1].txt"])) == ["a[1].txt"]
    Path("-").write_text("a dash")
    assert titles(collection.gather(["?"])) == ["-"]
