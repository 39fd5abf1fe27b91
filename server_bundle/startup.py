"""What sglang's log tells about its start: stages, key figures, and what somebody should know.

Lines as of sglang-kt 0.6.2.post3 to 0.7.2 and upstream 0.5.17 (recorded and read); repeated ranks
and any prefix are borne.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

READY = "ready"
FIRST = "starting"
_STAGES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("loading weights", re.compile(r"Load weight begin|Loading safetensors")),
    ("KT experts", re.compile(r"Using kt_num_gpu_experts=|Generated KT GPU experts|^\[KT\] ")),
    ("memory", re.compile(r"Memory profiling:|DS[vV]4 memory calculation:")),
    ("KV pools", re.compile(r"DS[vV]4 pool sizes:|KV Cache is allocated|Memory pool end")),
    ("CUDA graphs", re.compile(r"Capture .*cuda graph begin", re.IGNORECASE)),
    ("opening the port", re.compile(r"^max_total_num_tokens=|Application startup complete")),
    (READY, re.compile(r"^The server is fired up and ready to roll!")),
)
_ORDER = [FIRST, *(name for name, _ in _STAGES)]
_PREFIX = re.compile(r"^\[[^\]]*\d\d:\d\d:\d\d[^\]]*\] ")
_OTHER_RANK = re.compile(r"^\[[^\]]*[A-Z]P[1-9]\d*\b")
"""TP1, PP1 …: they repeat what rank 0 says."""
_FIGURE = re.compile(r"(\w+)=([\d.]+)")
_GRAPHS = re.compile(r"Capture .*cuda graph end.*?elapsed[:=] ?([\d.]+) ?s", re.IGNORECASE)
_BAR = re.compile(r"(?:Loading safetensors|Capturing batches).*?(\d+)/(\d+)")
_WARNING = re.compile(r"KT MXFP4 layerwise prefill disabled")
_REMAINING = re.compile(r"Remaining requests remaining_rids=\[(.*?)\]")


@dataclass
class StartUp:
    """Reads lines in their order."""

    stage: str = FIRST
    done: int | None = None
    total: int | None = None
    figures: dict[str, float] = field(default_factory=dict)
    """Tokens, and GB for memory; `cuda_graph_seconds` is the time of all captures."""
    warnings: list[str] = field(default_factory=list)
    remaining: tuple[str, ...] = ()
    """The requests (rid) that a draining server last said it had."""

    @property
    def is_ready(self) -> bool:
        """With --skip-server-warmup this comes before any forward."""
        return self.stage == READY

    def read(self, line: str) -> None:
        """One line, with or without its prefix."""
        message = _PREFIX.sub("", line)
        for name, pattern in _STAGES:
            if pattern.search(message) and _ORDER.index(name) > _ORDER.index(self.stage):
                self.stage, self.done, self.total = name, None, None
        if message.startswith("max_total_num_tokens="):
            self.figures.update({key: float(value) for key, value in _FIGURE.findall(message)})
        elif found := None if _OTHER_RANK.match(line) else _GRAPHS.search(message):
            spent = self.figures.get("cuda_graph_seconds", 0.0)
            self.figures["cuda_graph_seconds"] = round(spent + float(found[1]), 2)
        elif found := _BAR.search(message):
            self.done, self.total = int(found[1]), int(found[2])
        elif _WARNING.search(message):
            if message not in self.warnings:  # every rank says it
                self.warnings.append(message)
        elif found := _REMAINING.search(message):
            self.remaining = tuple(re.findall(r"'([^']+)'", found[1]))
