"""Gather the documents of one submit: files, the text files of folders, optionally joined into one.

A file that was named must be readable; in a folder, hidden, binary and empty files are skipped, and
the caller gets their names. Text that cannot be decoded is never skipped.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ktclient.documents import document as documents_document
from ktclient.documents import encodings, leftovers, magic
from ktclient.documents.document import Document
from ktclient.documents.formats import registry
from ktclient.errors import BadInput, DocumentUnusable

MOST_FILES = 1000
"""A submit of more files is a mistake, such as `ktjob submit ~`."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_GLOB = re.compile(r"[*?\[]")
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_HEAD_BYTES = 8192
MOST_TOLD = 8
"""For at most this many joined files, `read_as` says how they were read."""


@dataclass(frozen=True)
class Collection:
    """The documents to submit, in order; `passed_over` are the names of a folder's files that were
    skipped because they are binary or empty."""

    documents: tuple[Document, ...]
    passed_over: tuple[str, ...] = ()


def gather(
    names: Sequence[str],
    *,
    join: bool = False,
    raw: bool = False,
    encoding: str | None = None,
    stdin: BinaryIO | None = None,
) -> Collection:
    """Read all files, folders recursively in the order of names, and the matches of a pattern that
    no shell has expanded. `join` makes one document, with a line above each file that names it.
    Raises `BadInput` and `DocumentUnusable`."""
    if list(names).count(documents_document.STDIN) > 1:
        raise BadInput("standard input (-) can be read only once")
    found: list[Document] = []
    passed_over: list[str] = []
    size = 0
    for name in names:
        for path, title in _files(name):
            if title is not None and not _is_text(path):
                passed_over.append(title)
                continue
            if len(found) == MOST_FILES or len(passed_over) > 10 * MOST_FILES:
                raise BadInput(
                    f"these are more than {MOST_FILES:,} files; submit fewer files in one command"
                )
            document = documents_document.read(path, raw=raw, encoding=encoding, stdin=stdin)
            found.append(document if title is None else replace(document, title=title))
            size += len(document.text)
            if size > documents_document.MOST_BYTES:
                most = documents_document.MOST_BYTES // 1_000_000
                raise BadInput(
                    f"these are more than {most} MB of text; submit fewer files in one command"
                )
    if not found:
        raise DocumentUnusable("there is no text file in these folders; nothing was submitted")
    return Collection((joined(found),) if join else tuple(found), tuple(passed_over))


def files_of(name: str) -> Iterator[tuple[str, str | None]]:
    """Path and title of each file that a name stands for; the title is None if it is the file's
    own. Reads nothing. Raises `BadInput` and `DocumentUnusable`."""
    yield from _files(name)


def is_text(name: str) -> bool:
    """Whether a file of a folder is submitted. Raises `DocumentUnusable`."""
    return _is_text(name)


def joined(parts: Sequence[Document]) -> Document:
    """Several documents joined into one, each under a line with its name, as head(1) prints it."""
    names = [documents_document.display_name(part.title) for part in parts]
    text = "\n\n".join(
        f"==> {name} <==\n\n{part.text}" for name, part in zip(names, parts, strict=True)
    )
    title = parts[0].title if len(parts) == 1 else f"{parts[0].title} and {len(parts) - 1} more"
    return replace(
        documents_document.from_text(text, title, raw=True),
        line_ends=sum(part.line_ends for part in parts),
        cleaned=leftovers.summed(part.cleaned for part in parts),
        read_as="; ".join(one.read_as for one in parts[:MOST_TOLD] if one.read_as),
        guessed=", ".join(dict.fromkeys(part.guessed for part in parts if part.guessed)),
        guessed_because="; ".join(
            dict.fromkeys(part.guessed_because for part in parts if part.guessed_because)
        ),
    )


def _files(name: str) -> Iterator[tuple[str, str | None]]:
    """Path and title of each file that a name stands for; the title is None if it is the file's
    own."""
    path = Path(name)
    if name == documents_document.STDIN:
        yield name, None
    elif _URL.match(name) and not os.path.lexists(name):
        raise BadInput(
            f"{documents_document.display_name(name)} is a URL, and ktjob downloads nothing; "
            "download it first: curl -fsSL URL | ktjob submit -"
        )
    elif _GLOB.search(name) and not os.path.lexists(name):
        yield from _matching(name)
    elif os.path.isdir(name):  # Path.is_dir raises for names that are too long
        for file in _below(path):
            yield str(file), _title(file, path)
    else:
        yield name, None


def _matching(pattern: str) -> Iterator[tuple[str, str | None]]:
    """The files that a shell would insert for a pattern, in order; `**` is any depth of folders,
    not following links. Hidden files are skipped unless the pattern names them. A file whose own
    name is such a pattern takes precedence."""
    parts = Path(pattern).parts
    first = next(place for place, part in enumerate(parts) if _GLOB.search(part))
    wanted = [*parts[first:], *(["*"] if parts[-1] == "**" else [])]
    try:
        matched = list(Path(*parts[:first]).glob("/".join(wanted)))
    except (ValueError, OSError) as error:
        raise BadInput(
            f"{documents_document.display_name(pattern)} is not a valid pattern: {error}"
        ) from None
    if not _is_hidden(wanted):
        matched = [one for one in matched if not _is_hidden(one.parts[first:])]
    if "**" in wanted:  # a folder's files are matched themselves
        matched = [one for one in matched if not one.is_dir()]
    found = sorted(map(str, matched))
    if not found:
        raise DocumentUnusable(f"no file matches {documents_document.display_name(pattern)}")
    for name in found:
        yield from _files("./-" if name == documents_document.STDIN else name)


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") for part in parts)


def _below(folder: Path) -> Iterator[Path]:
    """The folder's regular files that are not hidden, recursively, in the order of names. Links to
    folders are not followed: they may form a loop."""
    left = [folder]
    while left:
        path = left.pop()
        if path is not folder and (path.is_symlink() or not path.is_dir()):
            if path.is_file():
                yield path
            continue
        try:
            names = sorted(name for name in os.listdir(path) if not name.startswith("."))
        except OSError as error:
            shown = documents_document.display_name(str(path))
            raise DocumentUnusable(f"cannot read the folder {shown}: {error.strerror}") from None
        left += [path / name for name in reversed(names)]


def _title(file: Path, folder: Path) -> str:
    """Its path in the folder, with the folder's name."""
    title = Path(folder.resolve().name, file.relative_to(folder))
    return os.fsencode(title).decode(errors="replace")


def _is_text(name: str) -> bool:
    """By the first bytes of a file: of no format except the readable ones, no control characters,
    not only blanks."""
    try:
        with Path(name).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise DocumentUnusable(
            f"cannot read {documents_document.display_name(name)}: {error.strerror}"
        ) from None
    if not head.strip():
        return False
    if (format_name := magic.name(head) or magic.text_name(head)) is not None:
        return registry.is_readable(format_name) and registry.is_installed(format_name)
    if head.startswith(_WIDE_MARKS) or encodings.guess(head) is not None:
        return True
    return b"\0" not in head and not magic.looks_binary(head)
