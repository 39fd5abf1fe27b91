"""Lines of a server's log without their prefixes, and the stage that each belongs to.

Made for reading a whole file afterwards. It may have torn lines, colours, and lines of several
ranks mixed. Stages are per rank: one may have loaded its weights while another runs out of memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from server_bundle.logs import line

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
"""In the order in which a server passes through them; prefill and decode alternate."""

LONGEST_LINE = 100_000
"""Characters of a line that are read; the rest is ignored."""
_START = "server_args=ServerArgs("
_MARKS: tuple[tuple[str, str], ...] = (
    ("Load weight begin", WEIGHTS),
    ("Load weight end", MEMORY),
    ("uda graph begin", GRAPHS),
    ("UDA graph begin", GRAPHS),
    ("The server is fired up and ready to roll", READY),
    ("Initializing a V1 LLM engine", START),
    ("Starting to load model", WEIGHTS),
    ("Model loading took", MEMORY),
    ("Capturing CUDA graphs", GRAPHS),
    ("Starting vLLM API server", READY),
    ("SIGTERM received", STOPPING),
    ("Gracefully exiting", STOPPING),
    ("Application shutdown complete", STOPPING),
)
"""Those of sglang, then of vLLM (vllm/v1/engine/core.py, worker/gpu_model_runner.py,
entrypoints/openai/api_server.py)."""
_FRAMES: tuple[tuple[str, str], ...] = (
    (", in load_model", WEIGHTS),
    (", in init_memory_pool", MEMORY),
    ("cuda_graph_runner.py", GRAPHS),
    (", in init_device_graphs", GRAPHS),
    (", in event_loop_", PREFILL),
    (", in run_event_loop", PREFILL),
    (", in forward_decode", DECODE),
)
"""The stage by a frame of a traceback; a later frame overrides an earlier one."""
_CHATTER = ("Prefill batch", "Decode batch", "KT layerwise prefill", '" 200 OK')
"""Routine lines: most of a log, and never a sign of a failure. (`KT MXFP4 layerwise prefill` may be
one.)"""


@dataclass(frozen=True)
class StagedLine:
    """One line: its place in the file, its text, and the server's stage when it was written."""

    number: int
    """Line number in the file, from 1."""
    text: str
    """Without time, rank and colours."""
    stage: str
    is_chatter: bool
    """Whether it is a routine line that every healthy server writes."""
    is_prefixed: bool
    """Whether it had a time: then it is not part of a traceback."""
    is_start: bool
    """Whether a server started with this line."""


def read(raw: Iterable[str], before: int = 0) -> Iterator[StagedLine]:
    """The lines of a log, of which so many were left out; each update of a progress bar is a
    line."""
    stages = _Stages()
    for number, whole in enumerate(raw, before + 1):
        for piece in whole[:LONGEST_LINE].rstrip("\r\n").split("\r"):
            clean = line.without_colours(piece)
            prefix = line.prefix(clean)
            text = clean[prefix.end() :] if prefix else clean
            is_start = _START in text
            stage = stages.after(text, prefix[4] if prefix else None)
            is_chatter = any(words in text for words in _CHATTER)
            yield StagedLine(number, text, stage, is_chatter, prefix is not None, is_start)


class _Stages:
    """Which stage each rank is in."""

    def __init__(self) -> None:
        self._all = ARGUMENTS
        self._own: dict[str, str] = {}
        self._rank = ""
        self._frame: str | None = None

    def after(self, text: str, ranks: str | None) -> str:
        """The stage that a line belongs to. `ranks` is None for a line without a prefix, which
        continues the one before."""
        if ranks is not None:
            self._rank, self._frame = ranks, None
        if _START in text:
            self._all, self._own = START, {}
        self._note(text)
        if text.startswith("  File ") or ", in " in text:
            self._frame = next((at for words, at in _FRAMES if words in text), self._frame)
        return self._now()

    def _note(self, text: str) -> None:
        if text.startswith("Prefill batch"):  # one rank writes it, all are in this stage
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
            # The main process does not report its stage: use the slowest rank's.
            stage = min(self._own.values(), key=STAGES.index)
        if self._frame is None:
            return stage
        if self._frame == PREFILL and stage in (PREFILL, DECODE):
            return stage
        return self._frame
