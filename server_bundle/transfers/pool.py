"""Several files at a time: threads that take them from a queue, watched by the main thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from jobs.errors import KtjobError
from jobs.system import no_room
from server_bundle.transfers.file import WrongContent
from server_bundle.transfers.meter import Meter
from server_bundle.transfers.origin import RemoteFile
from server_bundle.transfers.patience import KEPT
from server_bundle.transfers.progress import Progress

TICK_SECONDS = 0.25
STOP_SECONDS = 3.0
"""How long connections may take to notice a stop; they are threads that end with the process."""


class Pool:
    """`one` brings a file to its place, and `failed` is the error of the product for a disk that
    cannot be written and for files with wrong content."""

    def __init__(
        self, meter: Meter, one: Callable[[RemoteFile], None], failed: type[KtjobError]
    ) -> None:
        self._meter, self._one, self._failed = meter, one, failed
        self._errors: list[BaseException] = []
        self._wrong: list[str] = []

    def run(
        self, files: Iterable[RemoteFile], connections: int, on_look: Callable[[Progress], None]
    ) -> None:
        """Fetch all files, in their order. Files with wrong content do not hold up the others.
        Raises the errors of `one`, and what is raised in this thread meanwhile: `Stopped` and
        `KeyboardInterrupt`."""
        waiting = deque(files)
        threads = [
            threading.Thread(target=self._work, args=(waiting,), daemon=True)
            for _ in range(max(1, min(connections, len(waiting))))
        ]
        for one in threads:
            one.start()
        try:
            while alive := [one for one in threads if one.is_alive()]:
                on_look(self._meter.progress())
                alive[0].join(TICK_SECONDS)
        except BaseException:
            self._meter.stop()
            give_up = time.monotonic() + STOP_SECONDS
            for one in threads:
                one.join(max(0.0, give_up - time.monotonic()))
            raise
        on_look(self._meter.progress())
        if self._errors:
            raise self._errors[0]
        if self._wrong:
            raise self._failed(". ".join(self._wrong))

    def _work(self, waiting: deque[RemoteFile]) -> None:
        while not self._errors:
            try:
                file = waiting.popleft()
            except IndexError:
                return
            self._meter.begins(file.path)
            is_whole = False
            try:
                self._one(file)
                is_whole = True
            except WrongContent as error:
                self._wrong.append(str(error))
            except BaseException as error:  # reported by the main thread
                self._errors.append(error)
                self._meter.stop()
            self._meter.ends(file.path, is_whole=is_whole)


def unwritable(error: OSError, folder: Path) -> str:
    """What to say of an error of the disk."""
    why = no_room.reason(error, folder) or error.strerror or str(error)
    return f"cannot write to {folder}: {why}. {KEPT}"
