"""Each event once: all ranks of a replica do the same work, and in some versions all log it."""

from __future__ import annotations

from server_bundle.logs.line import Line


class FirstRanks:
    """Passes the lines of each replica's first rank, and lines that no rank wrote.

    When reading begins in the middle of a log, the first rank is not known yet: then a line of
    another rank may pass first, once.
    """

    def __init__(self) -> None:
        self._first: dict[int, tuple[int, ...]] = {}

    def admits(self, line: Line) -> bool:
        """Whether this line is not a copy of another rank's line."""
        if not line.ranks:
            return True
        first = min(line.rank, self._first.get(line.replica, line.rank))
        self._first[line.replica] = first
        return line.rank == first
