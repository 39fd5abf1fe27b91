"""Sleeping until a signal arrives, without missing a signal that arrives just before."""

from __future__ import annotations

import os
import selectors
import signal

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class SignalWakeup:
    """Receives signals through a pipe: the handlers do nothing, and the interpreter writes the
    signal's number into the pipe (`signal.set_wakeup_fd`). So no handler interrupts other code."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (*_STOPPING, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._told_to_stop = False

    def wait(self, seconds: float) -> None:
        """Wait until a signal arrives, for up to `seconds`."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._read, selectors.EVENT_READ)
            if selector.select(max(0.0, seconds)):
                heard = os.read(self._read, 4096)
                self._told_to_stop |= any(number in heard for number in _STOPPING)

    def take_stop(self) -> bool:
        """Whether a stop signal arrived since the last call."""
        told, self._told_to_stop = self._told_to_stop, False
        return told
