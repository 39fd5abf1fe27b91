"""The result files of a batch: each written atomically, even if a process is killed meanwhile."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

from jobs import draft, named_file
from jobs.system import no_room
from ktclient.documents.document import display_name
from ktclient.errors import BadInput, ResultsUnwritable


class ResultFiles:
    """Writes a draft beside each file until `publish`. Errors are held back until then."""

    def __init__(self, results: str | None, errors: str | None, mode: int, name: str = "") -> None:
        """`results`: None writes nothing. `name`: of a job, which has one worker at a time: what
        its killed ones left is removed.
        `mode`: of new files."""
        paths = [Path(path) for path in (results, errors) if path is not None]
        self._files = [
            _HeldDraft(path, mode, f".ktjob-{name}.{at}." if name else "")
            for at, path in enumerate(paths)
        ]

    def write(self, line: str, *, is_error: bool) -> None:
        """Add a line: an error to the last file, which may be the only one."""
        if self._files:
            self._files[-1 if is_error else 0].write(line)

    def publish(self) -> None:
        """Move the drafts to their final paths. Raises `OSError`, with the name of the file."""
        for file in self._files:
            file.publish()

    def drop(self) -> None:
        """Remove the drafts."""
        for file in self._files:
            file.drop()


class _HeldDraft:
    def __init__(self, path: Path, mode: int, prefix: str) -> None:
        self._path = path
        self._draft: draft.Draft | None = None
        self._trouble: OSError | None = None
        with self._kept():
            self._draft = draft.Draft(named_file.followed(path), mode, prefix=prefix)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """Hold the first error."""
        try:
            yield
        except OSError as error:
            self._trouble = self._trouble or error

    def write(self, line: str) -> None:
        if self._draft is not None and self._trouble is None:
            with self._kept():
                self._draft.file.write((line + "\n").encode())

    def publish(self) -> None:
        with self._kept():
            if self._draft is not None and self._trouble is None:
                if (what := named_file.irregular(self._draft.path)) is not None:
                    raise OSError(errno.EINVAL, f"it is {what}, not a regular file")
                self._draft.publish(keeps=True)
        if self._trouble is not None:
            trouble = self._trouble
            told = no_room.reason(trouble, self._path) or trouble.strerror or str(trouble)
            raise OSError(trouble.errno, told, str(self._path))

    def drop(self) -> None:
        if self._draft is not None:
            self._draft.drop()


def write_all(text: str, results: str, errors: str | None, mode: int, name: str) -> None:
    """Write the lines of a batch's output again. Raises `ResultsUnwritable`."""
    files = ResultFiles(results, errors, mode)
    try:
        for line in text.split("\n"):
            files.write(line, is_error=json.loads(line)["error"] is not None)
        files.publish()
    except OSError as error:
        raise ResultsUnwritable(
            f"the results cannot be written to {error.filename}: {error.strerror}. They are kept: "
            f"ktjob result {name}"
        ) from error
    finally:
        files.drop()


def place(name: str, what: str) -> str:
    """The absolute path of a file to be written later, by another process. Raises `BadInput` if it
    cannot be written."""
    shown = display_name(name)
    if named_file.descriptor(name) is not None:
        raise BadInput(
            f"{what} must go to a file, not to {name}; `ktjob result ID` prints them after the job "
            "has ended"
        )
    if not name or "\0" in name:
        raise BadInput(f"{shown} is not a valid file name for the {what}")
    try:
        path = named_file.followed(Path(name))
    except OSError as error:
        raise BadInput(f"the {what} cannot be written to {shown}: {error.strerror}") from None
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise BadInput(f"the name of the file of {what} is not UTF-8: {shown}") from None
    if path.is_dir():
        raise BadInput(f"{shown} is a folder; name a file for the {what}")
    if path.exists() and not path.is_file():
        raise BadInput(
            f"{shown} is {named_file.irregular(path)}, not a regular file; name a file for the "
            f"{what}"
        )
    if not path.parent.is_dir():
        raise BadInput(f"folder not found for the {what}: {display_name(str(path.parent))}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise BadInput(
            f"the {what} cannot be written to {display_name(str(path.parent))}: no permission"
        )
    return str(path)


def usual_mode(path: str) -> int:
    """The permissions of that file, else those that this process gives a new file."""
    with contextlib.suppress(OSError):
        return os.stat(path).st_mode & 0o777
    for line in (
        Path("/proc/self/status").read_text().splitlines()
    ):  # os.umask() cannot read the umask without setting it
        if line.startswith("Umask:"):
            return 0o666 & ~int(line.split()[1], 8)
    return 0o600
