"""What signals do to a process that has left its terminal: the runner and its workers.

| signal | runner | worker |
|---|---|---|
| SIGTERM, SIGINT, SIGQUIT | exits; its workers keep running | ends its attempt: the text is kept, the job waits for its next attempt |
| SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR2 | ignored | ignored |
| SIGUSR1 | writes the stacks of its threads into its log | the same |
| SIGPIPE | ignored, as always in Python | the same |
"""  # noqa: E501 - a table

from __future__ import annotations

import faulthandler
import signal

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""The signals of an administrator, a shutdown or a service manager."""
OF_TERMINALS = (signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""The signals of a terminal. A detached process has no terminal, so it ignores them."""


def leave_the_terminal() -> None:
    """Ignore terminal signals, also after exec. Unblock signals that the caller had blocked: else
    this process could not be stopped."""
    for number in OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def explain_on_request() -> None:
    """On SIGUSR1 write the stacks of all threads to stderr. Ignore SIGUSR2, whose default action
    ends the process."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


class StopRequested:
    """Records a stop signal, which the work checks between two steps. An exception raised by the
    handler could hit a transaction, and repeat or lose its writes."""

    def __init__(self) -> None:
        self.by = ""
        """The signal's name; empty before the first."""
        for number in STOPPING:
            signal.signal(number, self._hear)

    def _hear(self, number: int, _: object) -> None:
        self.by = signal.Signals(number).name
