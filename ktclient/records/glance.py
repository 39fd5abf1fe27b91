"""A look at the store that changes nothing and waits for nobody: for completion and for asyncio.

Creates no file of ours, starts no runner, migrates nothing. What is called RUNNING may be dead:
`access.py` finds that out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from jobs.store.state_dir import StateDir
from jobs.store.store import Store


@contextlib.contextmanager
def glance(state: StateDir) -> Iterator[Store | None]:
    """An open store to read; None where there is none that this version can read as it is. Reading
    raises `StoreUnusable` at once where another process has locked it."""
    store = Store.glance(state)
    try:
        yield store
    finally:
        if store is not None:
            store.close()
