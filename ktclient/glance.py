"""Open the store read-only and without waiting for locks: for completion and for asyncio.

Creates no file, starts no runner, migrates nothing. A job in state RUNNING may be dead:
`truth.py` checks that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from jobs.layout import StateDir
from jobs.store import Store


@contextlib.contextmanager
def glance(state: StateDir) -> Iterator[Store | None]:
    """An open store for reading; None if there is none that this version can read unmigrated.
    Reading raises `StoreUnusable` immediately if another process has locked it."""
    store = Store.glance(state)
    try:
        yield store
    finally:
        if store is not None:
            store.close()
