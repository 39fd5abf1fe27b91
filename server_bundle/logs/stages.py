"""Lines of a server's log, freed of what stands before the words, and the stage each belongs to.

Made for looking back at a whole file, which may be torn, coloured and written by several ranks at
once. Stages are per rank: one may have loaded its weights while another runs out of memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ARGUMENTS, START, WEIGHTS, MEMORY, GRAPHS, READY, PREFILL, DECODE, STOPPING = STAGES = (
    "arguments",
    "start",
    "weights",
    "memory",
    "graphs",
    "ready",
    "prefill",
    "decode",
    "stopping",
)
"""In the order in which a server goes through them; prefill and decode take turns."""

LONGEST_LINE = 100_000
"""Characters; what is beyond is not looked at."""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b.")
_PREFIX = re.compile(r"^(?:\S+ *\| )?\[[^\]]*?\d\d:\d\d:\d\d(?:[.,]\d+)?((?: [A-Z]+\d+)*)\] ?")
"""`[2026-05-07 17:06:17 TP1] `, with `sglang-1  | ` before it where docker compose wrote it."""
_START = "server_args=ServerArgs("
_MARKS: tuple[tuple[str, str], ...] = (
    ("Load weight begin", WEIGHTS),
    ("Load weight end", MEMORY),
    ("uda graph begin", GRAPHS),
    ("UDA graph begin", GRAPHS),
    ("The server is fired up and ready to roll", READY),
    ("SIGTERM received", STOPPING),
    ("Gracefully exiting", STOPPING),
    ("Application shutdown complete", STOPPING),
)
_FRAMES: tuple[tuple[str, str], ...] = (
    (", in load_model", WEIGHTS),
    (", in init_memory_pool", MEMORY),
    ("cuda_graph_runner.py", GRAPHS),
    (", in init_device_graphs", GRAPHS),
    (", in event_loop_", PREFILL),
    (", in run_event_loop", PREFILL),
    (", in forward_decode", DECODE),
)
"""What a traceback says about where it happened; a later frame knows better."""
_CHATTER = ("Prefill batch", "Decode batch", "KT layerwise prefill", '" 200 OK')
"""Most of a log, and never the sign of a failure. (`KT MXFP4 layerwise prefill` may be one.)"""


@dataclass(frozen=True)
class Line:
    """One line: where it is, what it says, and when in the server's life it was said."""

    number: int
    """Of the file, from 1."""
    text: str
    """Without time, rank and colours."""
    stage: str
    is_chatter: bool
    """Said by every healthy server, many times."""
    is_prefixed: bool
    """It had a time before it: no part of a traceback."""
    is_start: bool
    """A server began here."""


def read(raw: Iterable[str]) -> Iterator[Line]:
    """The lines of a log; progress bars, which rewrite theirs, give one each time."""
    stages = _Stages()
    for number, whole in enumerate(raw, 1):
        for piece in whole[:LONGEST_LINE].rstrip("\r\n").split("\r"):
            clean = _ESCAPES.sub("", piece)
            prefix = _PREFIX.match(clean)
            text = clean[prefix.end() :] if prefix else clean
            is_start = _START in text
            stage = stages.after(text, prefix[1] if prefix else None)
            is_chatter = any(words in text for words in _CHATTER)
            yield Line(number, text, stage, is_chatter, prefix is not None, is_start)


class _Stages:
    """Which stage each rank is in."""

    def __init__(self) -> None:
        self._all = ARGUMENTS
        self._own: dict[str, str] = {}
        self._rank = ""
        self._frame: str | None = None

    def after(self, text: str, ranks: str | None) -> str:
        """The stage that a line belongs to. `ranks` is None for a line without a prefix, which
        goes on with what the one before it said."""
        if ranks is not None:
            self._rank, self._frame = ranks, None
        if _START in text:
            self._all, self._own = START, {}
        self._note(text)
        if text.startswith("  File ") or ", in " in text:
            self._frame = next((at for words, at in _FRAMES if words in text), self._frame)
        return self._now()

    def _note(self, text: str) -> None:
        if text.startswith("Prefill batch"):  # said by one rank, true of all
            self._all, self._own = PREFILL, {}
        elif text.startswith("Decode batch"):
            self._all, self._own = DECODE, {}
        else:
            for words, stage in _MARKS:
                if words in text:
                    self._mark(stage)

    def _mark(self, stage: str) -> None:
        if stage in (READY, STOPPING):
            self._all, self._own = stage, {}
        else:
            self._own[self._rank] = stage

    def _now(self) -> str:
        stage = self._own.get(self._rank, self._all)
        if self._rank not in self._own and self._own:
            # The main process says nothing of its own: it is as far as the slowest rank.
            stage = min(self._own.values(), key=STAGES.index)
        if self._frame is None:
            return stage
        if self._frame == PREFILL and stage in (PREFILL, DECODE):
            return stage
        return self._frame
