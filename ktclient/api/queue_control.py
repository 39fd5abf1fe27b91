"""The queue as a whole: paused, resumed. Single jobs are changed by their handle, `Job`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ktclient import hidden
from ktclient.config import settings as config

if TYPE_CHECKING:
    from jobs.model import Pause


@hidden.InWords()
def pause_queue(server: str | None = None) -> list[Pause]:
    """Start no more jobs, or none of one server (a name of the configuration, or a URL), until
    `resume_queue`, also after a reboot. Requests that were sent continue. Returns all that is
    paused: `pool` is a server's URL or "embedded", None for the whole queue; `since` is in UTC.

    >>> from ktclient import pause_queue, resume_queue
    >>> pause_queue()[0].pool is None
    True
    >>> resume_queue()
    []

    Raises `BadInput` and `StoreUnusable`.
    """
    from ktclient.submission import queue_control

    settings = config.load()
    queue_control.pause(settings, server)
    return queue_control.pauses(settings)


@hidden.InWords()
def resume_queue(server: str | None = None, *, everything: bool = False) -> list[Pause]:
    """End the pause of the whole queue, of one server, or (`everything`) each pause. Returns what
    is still paused. Raises as `pause_queue`."""
    from ktclient.submission import queue_control

    return list(queue_control.resume(config.load(), server, everything=everything).left)
