"""Memory lines of a server's start: limits, pools, and the numbers they are computed from.

sglang-kt model_executor/memory_profiler.py:112, model_runner_kv_cache_mixin.py:443,
mem_cache/memory_pool.py:652, managers/scheduler.py:616; of KTransformers 0.7.2
layers/moe/kt_ep_wrapper.py:592 and :3340 ("lazily initialized").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from server_bundle.logs import fields
from server_bundle.logs.line import Line


@dataclass(frozen=True)
class Limits:
    """The summary that rank 0 writes. All in tokens, except `available` (GiB free on the GPU or,
    for a server on the CPU, in the machine) and `max_running` (requests). None: not in the line, or
    no limit."""

    pool: int
    """max_total_num_tokens: KV tokens of all requests together; for DeepSeek V4 the full pool."""
    chunk: int | None = None
    max_prefill: int | None = None
    max_running: int | None = None
    window: int | None = None
    available: float | None = None


@dataclass(frozen=True)
class Pools:
    """`tokens`: size of the (full) pool. `parts`: the sizes of DeepSeek V4's several pools, by name
    (full, swa, c4 …). `gigabytes`: total memory, in GiB."""

    tokens: int
    parts: Mapping[str, int] = field(default_factory=dict)
    gigabytes: float | None = None


@dataclass(frozen=True)
class MemoryFigures:
    """The numbers of a "Memory profiling" or "DSv4 memory calculation" line, by name. The unit
    follows from the name: GiB, bytes per token, a share, tokens."""

    figures: Mapping[str, float]


@dataclass(frozen=True)
class PrefillSlots:
    """Layers of experts for prefill, in GiB on each GPU: two as they are in the weights, two
    prepared. They are allocated at the first forward that uses them."""

    total: float
    raw: float | None = None
    prepared: float | None = None


@dataclass(frozen=True)
class StagingBuffer:
    """The buffer through which the CPU's experts get their input, in MiB on the first GPU."""

    mib: float


_ASSIGNED = re.compile(r"\w{1,40}=[^,=]{0,40}(?:, \w{1,40}=[^,=]{0,40})*", re.ASCII)
_KV_CACHE = "KV Cache is allocated."
_POOL_SIZES = re.compile(r"DSv4 pool sizes: ", re.IGNORECASE)
_SLOTS = re.compile(
    r"KT MXFP4 layerwise prefill lazily initialized [^(]{0,120}\(([^()]{0,120})\)", re.ASCII
)
_STAGING = re.compile(
    r"\[KT\] Created shared staging buffer: (\d{1,9}(?:\.\d{1,9})?) MiB", re.ASCII
)
_FIGURES = re.compile(r"(?:Memory profiling|DSv4 memory calculation): ", re.IGNORECASE)


def read(line: Line) -> Limits | Pools | MemoryFigures | PrefillSlots | StagingBuffer | None:
    """The event in a line; None for any other line."""
    text = line.text
    if "max_total_num_tokens=" in text and _ASSIGNED.fullmatch(text.rstrip(" .")):
        return _limits(fields.read(text, between="="))
    if slots := _SLOTS.match(text):
        return _prefill_slots(fields.read(slots[1], between="="))
    if staging := _STAGING.match(text):
        return StagingBuffer(float(staging[1]))
    if text.startswith(_KV_CACHE):
        return _kv_cache(fields.read(text.removeprefix(_KV_CACHE)))
    if head := _POOL_SIZES.match(text):
        return _pool_sizes(fields.read(text[head.end() :], between="="))
    if head := _FIGURES.match(text):
        found = fields.read(text[head.end() :], between="=")
        numbers = {name: fields.number(found, name) for name in found}
        return MemoryFigures({name: n for name, n in numbers.items() if n is not None})
    return None


def _limits(found: dict[str, str]) -> Limits | None:
    pool = fields.count(found, "max_total_num_tokens")
    if pool is None:
        return None
    return Limits(
        pool,
        chunk=fields.count(found, "chunked_prefill_size"),
        max_prefill=fields.count(found, "max_prefill_tokens"),
        max_running=fields.count(found, "max_running_requests"),
        window=fields.count(found, "context_len"),
        available=fields.number(found, "available_gpu_mem", "available_cpu_mem"),
    )


def _prefill_slots(found: dict[str, str]) -> PrefillSlots | None:
    raw, prepared = fields.number(found, "raw"), fields.number(found, "prepared")
    total = fields.number(found, "total")
    return None if total is None else PrefillSlots(total, raw, prepared)


def _kv_cache(found: dict[str, str]) -> Pools | None:
    tokens = fields.count(found, "tokens")
    sizes = [fields.number(found, name) for name in ("K size", "V size", "KV size")]
    known = [size for size in sizes if size is not None]
    return None if tokens is None else Pools(tokens, gigabytes=sum(known) if known else None)


def _pool_sizes(found: dict[str, str]) -> Pools | None:
    counts = {name: fields.count(found, name) for name in found}
    parts = {name: count for name, count in counts.items() if count is not None}
    return Pools(parts["full"], parts) if "full" in parts else None
