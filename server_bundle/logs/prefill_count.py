"""How many tokens were prefilled since reading of the log began."""

from __future__ import annotations

from dataclasses import dataclass, field

from server_bundle.logs import batches
from server_bundle.logs import line as lines
from server_bundle.logs.batches import PrefillBatch


@dataclass
class PrefillCount:
    """A count that grows by one chunk at a time, once the chunk has been computed."""

    _done: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)
    _begun: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)
    _queued: dict[int, int] = field(default_factory=dict)

    def see(self, raw: str) -> bool:
        """Read one line, as written. True when it reports a chunk."""
        line = lines.read(raw)
        batch = batches.read(line)
        if batch is None:
            return False
        writer = (line.replica, line.rank)
        if batch.queued is not None:
            self._queued[line.replica] = batch.queued
        # A chunk that was reported before its computation is done when the next line arrives.
        before = self._begun.pop(writer, 0)
        self._done[writer] = self._done.get(writer, 0) + before
        if not isinstance(batch, PrefillBatch):
            return False
        where = self._done if batch.is_done else self._begun
        where[writer] = where.get(writer, 0) + batch.new_tokens
        return True

    @property
    def tokens(self) -> int:
        """Prefilled tokens of all replicas. All ranks of a replica report the same chunks, so each
        replica counts with its highest rank count: another rank's line may not be there yet."""
        most: dict[int, int] = {}
        for (replica, _), done in self._done.items():
            most[replica] = max(most.get(replica, 0), done)
        return sum(most.values())

    @property
    def queued(self) -> int:
        """Queued requests, by the last line about them."""
        return sum(self._queued.values())
