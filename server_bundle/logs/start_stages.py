"""The stages of a start, in order, and READY.

Lines of sglang-kt 0.6.2 to 0.7.2 (model_executor/model_runner.py) and sglang 0.5.17 (recorded).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from server_bundle.logs import fields
from server_bundle.logs.line import Line


class Stage(str, Enum):
    """What a server does until it is ready."""

    DISTRIBUTED = "connecting its ranks"
    WEIGHTS = "loading weights"
    EXPERTS = "placing experts"
    POOL = "allocating the KV pool"
    GRAPHS = "capturing graphs"
    HTTP = "opening its port"


@dataclass(frozen=True)
class StageReached:
    """A stage begins or, with `is_done`, ends. Memory in GiB of one GPU (or of the machine)."""

    stage: Stage
    is_done: bool
    seconds: float | None = None
    available: float | None = None
    used: float | None = None


@dataclass(frozen=True)
class Bar:
    """A progress bar: `done` of `total` weight files are loaded, or graphs captured."""

    stage: Stage
    done: int
    total: int


@dataclass(frozen=True)
class Ready:
    """The server is ready. With --skip-server-warmup no forward has run yet
    (http_server.py:1902)."""


_READY = ("The server is fired up and ready to roll!", "llama.cpp: ready")
"""Of sglang, and of server_bundle/embedded/gguf_process.py."""
_STAGES: tuple[tuple[re.Pattern[str], Stage, bool], ...] = (
    (re.compile(r"Init torch distributed begin"), Stage.DISTRIBUTED, False),
    (re.compile(r"Init torch distributed ends"), Stage.DISTRIBUTED, True),
    (re.compile(r"Load weight begin\."), Stage.WEIGHTS, False),
    (re.compile(r"llama\.cpp: loading "), Stage.WEIGHTS, False),
    (re.compile(r"Load weight end\."), Stage.WEIGHTS, True),
    (re.compile(r"Generated KT GPU experts masks"), Stage.EXPERTS, False),
    (re.compile(r"Memory pool end\."), Stage.POOL, True),
    # upstream names the kind: "Capture target decode CUDA graph begin."
    (re.compile(r"Capture (?:[\w ]+ )?cuda graph begin\.", re.IGNORECASE), Stage.GRAPHS, False),
    (re.compile(r"Capture (?:[\w ]+ )?cuda graph end\.", re.IGNORECASE), Stage.GRAPHS, True),
    (re.compile(r"INFO: +Started server process"), Stage.HTTP, False),
    (re.compile(r"INFO: +Application startup complete\."), Stage.HTTP, True),
)
_SECONDS = re.compile(r"(?:elapsed=|Time elapsed: )(\d{1,9}(?:\.\d{1,9})?) ?s", re.ASCII)
_BARS: tuple[tuple[re.Pattern[str], Stage], ...] = (
    (re.compile(r"[\w -]{0,60}[Ll]oading [\w -]{0,40}shards: ", re.ASCII), Stage.WEIGHTS),
    (re.compile(r"Capturing (?:num tokens|batches)\b", re.ASCII), Stage.GRAPHS),
)
_OF = re.compile(r"[|] (\d{1,6})/(\d{1,6}) \[", re.ASCII)


def read(line: Line) -> StageReached | Bar | Ready | None:
    """The event in a line; None for any other line."""
    text = line.text
    if text.startswith(_READY):
        return Ready()
    for pattern, stage, is_done in _STAGES:
        if pattern.match(text):
            return _reached(text, stage, is_done)
    return _bar(text)


def _bar(text: str) -> Bar | None:
    for pattern, stage in _BARS:
        if pattern.match(text) and (of := _OF.search(text)):
            return Bar(stage, int(of[1]), int(of[2]))
    return None


def _reached(text: str, stage: Stage, is_done: bool) -> StageReached:
    seconds = _SECONDS.search(text)
    # Sentences precede and separate the values: "Capture cuda graph end. Time elapsed: 5.45 s. mem
    # usage=…"
    figures = fields.read(text.replace(". ", ", "), between="=")
    return StageReached(
        stage,
        is_done,
        seconds=float(seconds[1]) if seconds else None,
        available=fields.number(figures, "avail mem"),
        used=fields.number(figures, "mem usage"),
    )
