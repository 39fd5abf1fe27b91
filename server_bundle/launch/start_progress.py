"""The start of an sglang server by its log: stage, progress, key figures and warnings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from server_bundle.logs import events, line
from server_bundle.logs.ktransformers import SlowPath
from server_bundle.logs.line import Line
from server_bundle.logs.memory import Limits, MemoryFigures, Pools, PrefillSlots, StagingBuffer
from server_bundle.logs.ranks import FirstRanks
from server_bundle.logs.start_stages import Bar, Ready, Stage, StageReached

READY = "ready"
FIRST = "starting"
_ORDER = [FIRST, *(stage.value for stage in Stage), READY]
_RESERVED = "lazy_mxfp4_slot_reservation"
_DRAINS = "Gracefully exiting..."
_RIDS = re.compile(r"remaining_rids=\[(.*?)\]")


@dataclass
class StartUp:
    """State of a start, updated line by line, in order."""

    stage: str = FIRST
    done: int | None = None
    """Progress of the stage: files of weights, or graphs."""
    total: int | None = None
    figures: dict[str, float] = field(default_factory=dict)
    """pool, window, chunk, max_prefill (tokens), max_running (requests), available (GB),
    graphs (seconds for all captures); on each GPU reserved and slots (GiB for prefill of whole
    layers, kept free and allocated) and staging (MiB)."""
    warnings: list[str] = field(default_factory=list)
    remaining: tuple[str, ...] = ()
    """The requests (rid) that a draining server still had, by its last line about them."""
    _ranks: FirstRanks = field(default_factory=FirstRanks)

    @property
    def is_ready(self) -> bool:
        """Whether it is ready. With --skip-server-warmup no forward has run by then."""
        return self.stage == READY

    def read(self, raw: str) -> None:
        """Read one line, as written."""
        told = line.read(raw)
        if not self._ranks.admits(told):
            return
        if told.text.startswith(_DRAINS):
            self._drains(told)
            return
        event = events.of_line(told)
        if isinstance(event, SlowPath):
            self.warnings.append(told.text)
        elif event is not None:
            self._goes_on(event)

    def _goes_on(self, event: events.Event) -> None:
        if isinstance(event, StageReached):
            self._reach(event.stage.value)
            if event.stage is Stage.GRAPHS and event.is_done and event.seconds is not None:
                spent = self.figures.get("graphs", 0.0) + event.seconds
                self.figures["graphs"] = round(spent, 2)
        elif isinstance(event, Bar):
            self._reach(event.stage.value)
            if event.stage.value == self.stage:
                self.done, self.total = event.done, event.total
        elif isinstance(event, (Pools, MemoryFigures, StagingBuffer, PrefillSlots)):
            self._takes_memory(event)
        elif isinstance(event, Limits):
            self._reach(Stage.HTTP.value)
            self.figures |= {name: float(n) for name, n in vars(event).items() if n is not None}
        elif isinstance(event, Ready):
            self._reach(READY)

    def _takes_memory(self, event: Pools | MemoryFigures | StagingBuffer | PrefillSlots) -> None:
        if isinstance(event, PrefillSlots):
            self.figures["slots"] = event.total
        elif isinstance(event, StagingBuffer):
            self._reach(Stage.EXPERTS.value)
            self.figures["staging"] = event.mib
        else:
            self._reach(Stage.POOL.value)
            if isinstance(event, MemoryFigures) and _RESERVED in event.figures:
                self.figures["reserved"] = event.figures[_RESERVED]

    def _reach(self, stage: str) -> None:
        """Move to a later stage, never back: a draft model is loaded after the main model's pools
        were allocated."""
        if _ORDER.index(stage) > _ORDER.index(self.stage):
            self.stage, self.done, self.total = stage, None, None

    def _drains(self, told: Line) -> None:
        rids = _RIDS.search(told.text)
        self.remaining = tuple(re.findall(r"'([^']+)'", rids[1])) if rids else ()
