"""What the numbers of a typed command do to a long request: room, chunks, threads, time limits.

Pure. Each function returns the severity, the effect in words and its source; None where the words
of the table count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server_bundle.doctor.finding import Severity
from server_bundle.doctor.room import Room
from server_bundle.plan.machine import MachineFacts

Effect = tuple[Severity, str, str]
_CHUNK_GIB = 0.5 / 2048
"""GiB of workspace for each token of a chunk: with 2,048 one buffer alone takes 512 MiB (the guide,
tuning)."""
_LEAST_GIB = 1.0
_ENOUGH_GIB = 4.0
"""Workspace: with less than the first a server runs out of memory; below the second the guide calls
it an edge case."""
_FRACTION = "--mem-fraction-static"
_WATCHDOG = 300
"""sglang's own --watchdog-timeout, in seconds."""
_DEADLOCK = "sgl-project/sglang #28530; not fixed in sglang-kt 0.7.2"


@dataclass(frozen=True)
class Given:
    """One flag of the command beside the plan's, and what is known of both servers."""

    theirs: str | None
    plan: str | None
    room: Room
    longest: int | None
    """The longest prompt of the plan's server, in tokens."""
    chunk: int | None
    """--chunked-prefill-size of the command."""
    threshold: int | None
    """--kt-gpu-prefill-token-threshold of the command."""
    is_fork: bool
    machine: MachineFacts

    @property
    def number(self) -> int | None:
        return whole(self.theirs)

    @property
    def is_shorter(self) -> bool:
        """Whether its server computes only shorter prompts than the plan's."""
        ours, theirs = self.longest, self.room.longest
        return ours is not None and theirs is not None and theirs < ours


def of(name: str, given: Given) -> Effect | None:
    """The effect of a flag."""
    if (refused := _refused(name, given.theirs)) is not None:
        return refused
    rule = _RULES.get(name)
    return None if rule is None else rule(given)


def _refused(name: str, value: str | None) -> Effect | None:
    """A number that sglang's argument parser does not accept."""
    if name not in _RULES or value is None:
        return None
    try:
        float(value) if name == _FRACTION else int(value)
    except ValueError:
        what = "a number" if name == _FRACTION else "a whole number"
        return Severity.ERROR, f"it has to be {what}: the start ends", "sglang's argument parser"
    return None


def _context(given: Given) -> Effect | None:
    room = given.room
    if given.is_fork and room.can_wedge:
        return (
            Severity.ERROR,
            f"a prompt of {(room.admitted or 0) + 1:,} to {room.accepted:,} tokens passes the "
            "length check and is never computed, and all requests behind it wait too",
            _DEADLOCK,
        )
    if given.is_shorter and room.window == room.longest:
        text = f"a prompt of {room.window:,} tokens or more is refused with HTTP 400"
        return Severity.ERROR, text, "sglang managers/tokenizer_manager.py"
    return None if room.window is None else (Severity.NOTE, "no shorter prompts than the plan", "")


def _total_tokens(given: Given) -> Effect | None:
    room = given.room
    if given.theirs is None:
        return None
    if room.is_capped and given.is_shorter:
        end = "waits forever, with all requests behind it," if given.is_fork else "is not admitted,"
        return (
            Severity.ERROR,
            f"the KV pool has at most {room.pool:,} tokens, whatever memory the GPUs have: a "
            f"prompt of more than {room.admitted:,} tokens {end} and from {room.accepted:,} on it "
            "is refused with HTTP 400",
            "sglang managers/schedule_policy.py, managers/utils.py",
        )
    return Severity.NOTE, "a limit of the KV pool; it is large enough here", ""


def _fraction(given: Given) -> Effect | None:
    room, source = given.room, "sglang-kt model_executor/memory_profiler.py"
    left = room.workspace_gib
    if left is None or room.pool is None:
        return None
    if left < _LEAST_GIB:
        return (
            Severity.ERROR,
            f"leaves {left:.1f} GiB of a GPU for the computing: CUDA out of memory at the start or "
            "in the first long prefill, where the server dies with all its requests",
            source,
        )
    if left < _ENOUGH_GIB:
        text = f"leaves {left:.1f} GiB for the computing of a chunk: too little for some prompts"
        return Severity.WARNING, f"{text}, and then the server dies with its requests", source
    if given.is_shorter and not room.is_capped:
        text = f"the KV pool has about {room.pool:,} tokens: the longest prompt is {room.longest:,}"
        return Severity.ERROR, text, source
    return Severity.NOTE, f"leaves {left:.1f} GiB for the computing: enough", source


def _chunk(given: Given) -> Effect | None:
    source = "the guide (tuning)"
    if given.theirs is None:
        text = "sglang chooses it by the GPU's memory"
        if given.threshold:
            text += ": below --kt-gpu-prefill-token-threshold the CPU computes every chunk"
        return Severity.WARNING, text, "sglang server_args.py"
    chunk = given.number
    if chunk is None or chunk <= 0:  # -1: not divided
        text = (
            "the whole prompt is one forward: CUDA out of memory, or the watchdog ends the server"
        )
        return Severity.ERROR, text, "sglang managers/schedule_policy.py; utils/watchdog.py"
    need, left = chunk * _CHUNK_GIB, given.room.workspace_gib
    if left is not None and need > left:
        text = f"one buffer of such a chunk takes {need:.1f} GiB, and {left:.1f} GiB are left"
        return Severity.ERROR, f"{text}: the server dies in the first long prefill", source
    if given.is_fork and given.threshold is not None and chunk < given.threshold:
        return _threshold(given)
    planned = whole(given.plan)
    if planned is not None and chunk < planned:
        text = f"{planned / chunk:.3g} times as many forwards for a prompt: its prefill is slower"
        return Severity.WARNING, text, source
    return (
        Severity.NOTE,
        "a chunk is also how long a health check, a cancel or another request waits",
        source,
    )


def _threshold(given: Given) -> Effect | None:
    source = "sglang-kt layers/moe/kt_ep_wrapper.py"
    if not given.is_fork:
        return None
    if given.threshold is None:
        text = "the CPU computes the experts of every chunk: many times slower for a long prompt"
        return Severity.WARNING, text, source
    if given.chunk is not None and given.chunk < given.threshold:
        return (
            Severity.WARNING,
            f"no chunk of {given.chunk:,} tokens reaches it, so the CPU computes the experts of "
            "every chunk: many times slower for a long prompt",
            source,
        )
    text = "full chunks compute their experts on the GPUs, as in the plan; shorter ones on the CPU"
    return Severity.NOTE, text, source


def _threads(given: Given) -> Effect | None:
    cores, threads = given.machine.physical_cores, given.number
    source = "KT 01fdfa60; kt_kernel/experts_base.py:169,188"
    if threads is None or cores is None:
        return None
    if threads > cores:
        text = f"the total of all threads, and this machine has {cores} physical cores: two on one"
        return Severity.WARNING, f"{text} decode about ten times slower", source
    if threads < cores // 2:
        text = f"the total of all threads: {cores - threads} of {cores} cores stay idle"
        return Severity.WARNING, text, source
    return Severity.NOTE, f"threads of the CPU experts, on {cores} physical cores", source


def _pools(given: Given) -> Effect | None:
    nodes, pools = given.machine.numa_nodes, given.number
    if pools is None or nodes is None or pools == nodes:
        return None
    text = f"one pool for each NUMA node reads its own memory; this machine has {nodes}"
    return Severity.WARNING, text, "kt_kernel/experts_base.py"


def _watchdog(given: Given) -> Effect | None:
    seconds, planned = given.number or _WATCHDOG, whole(given.plan) or _WATCHDOG
    source = "sglang utils/watchdog.py"
    if seconds < planned:
        return (
            Severity.WARNING,
            f"one forward may take {seconds:,} s: the first, which compiles kernels, may take "
            "longer, and then the server ends itself with all requests",
            source,
        )
    text = f"for one forward, not for a request: a hung GPU is noticed after {seconds:,} s"
    return Severity.NOTE, text, source


def _running(given: Given) -> Effect | None:
    most, planned = given.number, whole(given.plan)
    source = "sglang #26248; managers/schedule_batch.py:1836"
    if most is None or (planned is not None and most > planned):
        return (
            Severity.WARNING,
            "requests that run simultaneously share one KV pool: if it fills, the one with the "
            "longest prompt is retracted, and without a prefix cache its whole prefill is repeated",
            source,
        )
    return Severity.NOTE, "fewer requests run simultaneously; the others wait", source


def _gpus(given: Given) -> Effect | None:
    room, source = given.room, "sglang-kt models/deepseek_v4.py; KT #1998"
    if given.is_fork and room.pool == 0:
        text = "the weights leave no memory of these GPUs for a KV pool: the start ends"
        return Severity.ERROR, text, source
    if given.is_shorter:
        text = f"with fewer GPUs each holds more of the weights: prompts of up to {room.longest:,}"
        return Severity.WARNING, f"{text} tokens", source
    return Severity.NOTE, "GPUs that share each layer", "sglang server_args.py"


def whole(value: str | None) -> int | None:
    """A value as a whole number; None for another one."""
    text = value or ""
    return int(text) if text.lstrip("-").isdigit() else None


_RULES: dict[str, Callable[[Given], Effect | None]] = {
    "--tensor-parallel-size": _gpus,
    "--context-length": _context,
    "--max-total-tokens": _total_tokens,
    _FRACTION: _fraction,
    "--chunked-prefill-size": _chunk,
    "--kt-gpu-prefill-token-threshold": _threshold,
    "--kt-cpuinfer": _threads,
    "--kt-threadpool-count": _pools,
    "--watchdog-timeout": _watchdog,
    "--max-running-requests": _running,
}
NAMES = tuple(_RULES)
"""The flags whose numbers have effects."""
