"""One event once: all ranks of a replica do the same work, and some versions all say so."""

from __future__ import annotations

from server_bundle.logs.line import Line


class FirstRanks:
    """Lets through the lines of each replica's first rank, and those that no rank wrote.

    Who begins to read in the middle learns only by and by which rank that is: the lines of another
    one may come first then, once.
    """

    def __init__(self) -> None:
        self._first: dict[int, tuple[int, ...]] = {}

    def admits(self, line: Line) -> bool:
        """Whether this line is not the copy of another's."""
        if not line.ranks:
            return True
        first = min(line.rank, self._first.get(line.replica, line.rank))
        self._first[line.replica] = first
        return line.rank == first
