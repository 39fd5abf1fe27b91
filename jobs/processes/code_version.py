"""Whether the code on disk is still the code in memory: `pip install -U` may run at any time.

A process that has imported all it needs can continue. A process that forks others cannot: its
children would mix the code in memory with the code that they import from disk.
"""

from __future__ import annotations

import os
import sys

_Stamp = tuple[int, int, int]


class LoadedCode:
    """The files of all modules that were imported at its creation. Costs one `stat` for each: about
    2 ms for a thousand modules."""

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
