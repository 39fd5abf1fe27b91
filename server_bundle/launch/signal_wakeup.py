"""Sleeping until a signal comes, without missing one that comes right before."""

from __future__ import annotations

import os
import selectors
import signal

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class SignalWakeup:
    """What woke us. Handlers do nothing: the interpreter writes the signal's number into a pipe
    (`signal.set_wakeup_fd`), so nothing runs in the middle of anything."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (*_STOPPING, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._told_to_stop = False

    def wait(self, seconds: float) -> None:
        """Until a signal comes, or for so long."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._read, selectors.EVENT_READ)
            if selector.select(max(0.0, seconds)):
                heard = os.read(self._read, 4096)
                self._told_to_stop |= any(number in heard for number in _STOPPING)

    def take_stop(self) -> bool:
        """Whether we were told to stop since the last such question."""
        told, self._told_to_stop = self._told_to_stop, False
        return told
