"""What of a command line names files here: they go along, and the words name them there."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import click
from click.core import ParameterSource

from ktclient.documents import collection
from ktclient.documents import document as documents_document
from ktclient.errors import BadInput, DocumentUnusable
from ktclient.remote.call import Sent

_STDIN_NAME = "standard input"


@dataclass
class Uploads:
    """Files to send, each under a name that is used once."""

    files: list[Sent] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    """What stands for them in the command there."""
    passed_over: list[str] = field(default_factory=list)
    _folders: dict[str, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def documents(self, names: tuple[str, ...]) -> None:
        """Files, folders and patterns, as `submit` takes them. Raises `BadInput`."""
        if names.count(documents_document.STDIN) > 1:
            raise BadInput("standard input (-) can be read only once")
        for name in names:
            for path, title in collection.files_of(name):
                if title is None:
                    self.words.append(self.add(path))
                elif collection.is_text(path):
                    self._of_folder(Path(path), title)
                else:
                    self.passed_over.append(title)
                if len(self.files) > collection.MOST_FILES:
                    raise BadInput(f"these are more than {collection.MOST_FILES:,} files")
        if not self.files:
            raise DocumentUnusable("there is no text file in these folders; nothing was sent")

    def add(self, path: str) -> str:
        """One file. Returns its name there."""
        is_stdin = path == documents_document.STDIN
        name = self._unused(_STDIN_NAME if is_stdin else os.path.basename(path))
        self.files.append(Sent(name, _opener(path)))
        return f"./{name}" if name.startswith("-") else name

    def _of_folder(self, path: Path, title: str) -> None:
        root = path.parents[len(Path(title).parts) - 2]
        if str(root) not in self._folders:
            self._folders[str(root)] = self._unused(root.resolve().name)
            self.words.append("./" + self._folders[str(root)])
        name = f"{self._folders[str(root)]}/{path.relative_to(root)}"
        self.files.append(Sent(name, _opener(str(path))))

    def _unused(self, name: str) -> str:
        first = name
        while name.split("/")[0] in self._taken:
            name = f"{len(self._taken)}+/{first}"
        self._taken.add(name.split("/")[0])
        return name


def _opener(path: str) -> Callable[[], BinaryIO]:
    """To read it from its beginning any number of times; what can be read only once is kept."""
    try:
        if path == documents_document.STDIN:
            if sys.stdin is None:
                raise DocumentUnusable("standard input is closed; name a file or pipe the text in")
            return _kept(sys.stdin.buffer)
        if not Path(path).is_file():
            with Path(path).open("rb") as pipe:
                return _kept(pipe)
        Path(path).open("rb").close()
    except FileNotFoundError:
        raise DocumentUnusable(
            f"there is no file {documents_document.display_name(path)}"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DocumentUnusable(
            f"cannot read {documents_document.display_name(path)}: {reason}"
        ) from None
    return lambda: Path(path).open("rb")


def _kept(source: BinaryIO) -> Callable[[], BinaryIO]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the command
    shutil.copyfileobj(source, file)

    def again() -> BinaryIO:
        file.flush()
        found = os.fdopen(os.dup(file.fileno()), "rb")
        found.seek(0, io.SEEK_SET)
        return found

    return again


def options(context: click.Context, without: set[str]) -> list[str]:
    """The options that were typed, as words that no value can change the meaning of."""
    words = []
    for param in context.command.params:
        name = param.name or ""
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not isinstance(param, click.Option) or not typed or name in without:
            continue
        value = context.params[name]
        option = max(param.opts, key=len)
        if param.is_flag:
            words += [option] if value else []
        else:
            words += [f"{option}={one}" for one in (value if param.multiple else [value])]
    return words
