"""Several documents of one submit: files, the text files of folders, all joined into one if wished.

A file that was named must be readable; of a folder what is no text, empty or hidden is passed
over, and the caller is told what. Text that cannot be decoded is never passed over.
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
from ktclient.documents import encodings, magic
from ktclient.documents.document import Document
from ktclient.documents.formats import registry
from ktclient.errors import BadInput, DocumentUnusable

MOST_FILES = 1000
"""More were named by mistake: `ktjob submit ~`."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_GLOB = re.compile(r"[*?\[]")
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_HEAD_BYTES = 8192
MOST_TOLD = 8
"""Of so many joined files is told how they were read."""


@dataclass(frozen=True)
class Collection:
    """What is to be submitted, in order; `passed_over` are the names of a folder's files that
    are no text or empty."""

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
    """Read all of them, folders to their depths in the order of names, and what matches a pattern
    that no shell has expanded. `join` makes one document,
    with a line above each file that names it. Raises `BadInput` and `DocumentUnusable`."""
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
                raise BadInput(f"these are more than {MOST_FILES:,} files; submit fewer at once")
            document = documents_document.read(path, raw=raw, encoding=encoding, stdin=stdin)
            found.append(document if title is None else replace(document, title=title))
            size += len(document.text)
            if size > documents_document.MOST_BYTES:
                most = documents_document.MOST_BYTES // 1_000_000
                raise BadInput(f"these are more than {most} MB of text; submit fewer at once")
    if not found:
        raise DocumentUnusable("there is no text file in these folders; nothing was sent")
    return Collection((joined(found),) if join else tuple(found), tuple(passed_over))


def files_of(name: str) -> Iterator[tuple[str, str | None]]:
    """Path and title of each file that a name stands for; no title where it is the file's own.
    Nothing is read. Raises `BadInput` and `DocumentUnusable`."""
    yield from _files(name)


def is_text(name: str) -> bool:
    """Whether a file of a folder is taken. Raises `DocumentUnusable`."""
    return _is_text(name)


def joined(parts: Sequence[Document]) -> Document:
    """One document of several, each under a line with its name, as head(1) writes it."""
    names = [
        documents_document.neutralize_template_marks(documents_document.display_name(part.title))[0]
        for part in parts
    ]
    text = "\n\n".join(
        f"==> {name} <==\n\n{part.text}" for name, part in zip(names, parts, strict=True)
    )
    title = parts[0].title if len(parts) == 1 else f"{parts[0].title} and {len(parts) - 1} more"
    return replace(
        documents_document.from_text(text, title, raw=True),
        neutralised=sum(part.neutralised for part in parts),
        line_ends=sum(part.line_ends for part in parts),
        read_as="; ".join(one.read_as for one in parts[:MOST_TOLD] if one.read_as),
        guessed=", ".join(dict.fromkeys(part.guessed for part in parts if part.guessed)),
    )


def _files(name: str) -> Iterator[tuple[str, str | None]]:
    """Path and title of each file that a name stands for; no title where it is the file's own."""
    path = Path(name)
    if name == documents_document.STDIN:
        yield name, None
    elif _URL.match(name) and not os.path.lexists(name):
        raise BadInput(
            f"{documents_document.display_name(name)} is a URL, and ktjob fetches nothing; "
            "fetch it yourself: curl -fsSL URL | ktjob submit -"
        )
    elif _GLOB.search(name) and not os.path.lexists(name):
        yield from _matching(name)
    elif os.path.isdir(name):  # Path.is_dir raises for names that are too long
        for file in _below(path):
            yield str(file), _title(file, path)
    else:
        yield name, None


def _matching(pattern: str) -> Iterator[tuple[str, str | None]]:
    """What a shell would have put in its place, in order; `**` is any depth of folders, without
    links to such. Hidden ones are left out unless the pattern says them. A file whose own name is
    such a pattern goes before."""
    parts = Path(pattern).parts
    first = next(place for place, part in enumerate(parts) if _GLOB.search(part))
    wanted = [*parts[first:], *(["*"] if parts[-1] == "**" else [])]
    try:
        matched = list(Path(*parts[:first]).glob("/".join(wanted)))
    except (ValueError, OSError) as error:
        raise BadInput(
            f"{documents_document.display_name(pattern)} is no pattern: {error}"
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
    """Its regular files that are not hidden, a folder's content at the folder's place among the
    names. Links to folders are not followed: they may lead back."""
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
    """Its place in the folder, with the folder's name."""
    title = Path(folder.resolve().name, file.relative_to(folder))
    return os.fsencode(title).decode(errors="replace")


def _is_text(name: str) -> bool:
    """By the first bytes of a file: no format but those that can be read here, no control
    characters, more than blanks."""
    try:
        with Path(name).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise DocumentUnusable(
            f"cannot read {documents_document.display_name(name)}: {error.strerror}"
        ) from None
    if not head.strip():
        return False
    if (format_name := magic.name(head)) is not None:
        return registry.is_readable(format_name) and registry.is_installed(format_name)
    if head.startswith(_WIDE_MARKS) or encodings.guess(head) is not None:
        return True
    return b"\0" not in head and not magic.looks_binary(head)
