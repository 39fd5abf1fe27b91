"""KTransformers' own lines: the layers of a chunk, and the switch to the slow path.

kt_ep_wrapper.py of sglang-kt 0.6.2 (:1416, :2586) and 0.7.2 (:2761, :3376, :3537, :5869). With 43
layers there are 86 of them for each chunk: most of a log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server_bundle.logs.line import Line


@dataclass(frozen=True)
class LayerComputed:
    """One layer of a chunk is computed; `milliseconds` is None where the line lacks it."""

    layer: int
    milliseconds: float | None


@dataclass(frozen=True)
class SlowPath:
    """From now on prefill uses the experts on the CPU, which takes many times as long."""

    reason: str


_LAYER = re.compile(
    r"KT layerwise prefill: layer (\d{1,5}) compute = (\d{1,9}(?:\.\d{1,6})?) ms"
    r"|KT MXFP4 layerwise prefill: layer=(\d{1,5})\b",
    re.ASCII,
)
_SLOW = re.compile(
    r"KT MXFP4 layerwise prefill disabled; using hybrid CPU/GPU MoE(?:: (.*))?", re.DOTALL
)


def read(line: Line) -> LayerComputed | SlowPath | None:
    """The event in a line; None for any other line."""
    if layer := _LAYER.match(line.text):
        number = layer[1] if layer[1] is not None else layer[3]
        return LayerComputed(int(number), float(layer[2]) if layer[2] is not None else None)
    slow = _SLOW.match(line.text)
    return SlowPath((slow[1] or "").strip()) if slow else None
