"""Whether the code on disk is still the code in memory: `pip install -U` may come at any time.

What has imported all it needs goes on undisturbed. A process that forks others must not: its
children would mix what is in memory with whatever they still import from disk.
"""

from __future__ import annotations

import os
import sys

_Stamp = tuple[int, int, int]


class LoadedCode:
    """The files of all modules that were imported when this was made. Costs a `stat` for each:
    about two thousandths of a second for a thousand modules."""

    def __init__(self) -> None:
        modules = list(sys.modules.values())
        files = {getattr(module, "__file__", None) for module in modules}
        self._stamps = {file: _stamp(file) for file in files if file}

    def has_changed(self) -> bool:
        """Whether any of them was replaced, edited or removed since."""
        return any(_stamp(file) != stamp for file, stamp in self._stamps.items())


def _stamp(file: str) -> _Stamp | None:
    try:
        told = os.stat(file)
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino
