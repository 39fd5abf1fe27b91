"""The end of another process's gateway."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from jobs.model import Identity
from jobs.processes import identity
from ktclient.gateway.service.instance import Instance

TERM_SECONDS = 15.0
"""How long a gateway may take to end after SIGTERM: it cuts its answers after 3 s."""
_LOOK_SECONDS = 0.05


def stop(one: Instance) -> bool:
    """SIGTERM, and wait for its end; SIGKILL for one that hangs, which loses nothing: what it
    accepted is in the store. Whether SIGTERM was enough."""
    _signal(one.process, signal.SIGTERM)
    if _ends(one.process):
        return True
    _signal(one.process, signal.SIGKILL)
    _ends(one.process)
    return False


def _signal(process: Identity, number: int) -> None:
    if identity.is_same_process_alive(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _ends(process: Identity) -> bool:
    give_up = time.monotonic() + TERM_SECONDS
    while identity.is_same_process_alive(process):
        if time.monotonic() >= give_up:
            return False
        time.sleep(_LOOK_SECONDS)  # no event reports the end of a process that is not a child
    return True
