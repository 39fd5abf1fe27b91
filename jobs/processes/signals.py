"""What signals mean to a process that has left its terminal: the runner and its workers.

| signal | runner | worker |
|---|---|---|
| SIGTERM, SIGINT, SIGQUIT | leaves; its workers go on | ends its attempt: the text is kept, the job waits for its next attempt |
| SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR2 | ignored | ignored |
| SIGUSR1 | writes the stacks of its threads into its log | the same |
| SIGPIPE | ignored, as always in Python | the same |
"""  # noqa: E501 - a table

from __future__ import annotations

import faulthandler
import signal

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""What an administrator, a shutdown or a service manager sends."""
OF_TERMINALS = (signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""What a terminal sends. We have none, so whoever sends one does not mean us."""


def leave_the_terminal() -> None:
    """Be deaf to terminals, also after exec; and unblock what a caller had blocked, without which
    nobody could ask us to stop."""
    for number in OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def explain_on_request() -> None:
    """SIGUSR1 shows where we are, on stderr; its relative ends us no more than that."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


class ToldToStop:
    """Remembers that this process was told to stop, for the work to notice between two steps: an
    exception raised right in a transaction could repeat or lose what it was writing."""

    def __init__(self) -> None:
        self.by = ""
        """The signal's name; empty until one came."""
        for number in STOPPING:
            signal.signal(number, self._hear)

    def _hear(self, number: int, _: object) -> None:
        self.by = signal.Signals(number).name
