"""Why a document could not be read: for lack of time or memory, by damage, or by its reader. The
only place that decides: for an error inside the reading process, and for the end of that process as
its parent saw it. Each verdict is a text that follows the document's name.
"""

from __future__ import annotations

import errno
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from jobs import durations, extras
from ktclient.documents.formats import registry
from ktclient.documents.formats.allowance import Allowance

NEAR = 0.8
"""With so much of the memory in use, memory is what was lacking: the request that failed is not
counted."""
_CRASHES = (
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGTRAP),
    *(signal.SIGFPE, signal.SIGSYS),
)
_NO_MEMORY = re.compile(
    "MemoryError|bad_alloc|out of memory|cannot allocate memory|memory allocation|"
    "failed to map segment",
    re.I,
)
"""As Python, libstdc++, libxml2, the C library, Rust and the dynamic loader say it."""
_INSTEAD = "extract its text with another program, and submit that"
_LONGEST = 200


@dataclass(frozen=True)
class Ended:
    """How a reading process ended."""

    code: int
    """Its exit code, or minus the signal."""
    cpu_seconds: float
    memory_bytes: int
    """The most that it had in memory; 0 where that is not known."""
    errors: str
    """The end of its stderr."""
    is_overdue: bool = False
    """Whether it was killed when its time by the clock was over."""
    is_flooding: bool = False
    """Whether it wrote more than it may."""

    @property
    def is_by_itself(self) -> bool:
        """Whether it has done what it was to do, so that its output counts."""
        return self.code == 0 and not (self.is_overdue or self.is_flooding)


def of_end(ended: Ended, format_name: str, allowed: Allowance) -> str:
    """The verdict on a process that ended without a result."""
    failed = f"cannot be read as {format_name}"
    is_by_limit = ended.code == -signal.SIGKILL and ended.cpu_seconds >= allowed.cpu_seconds
    if ended.is_flooding:
        return of_length(allowed.output_bytes)
    if ended.is_overdue:
        return f"{failed} within {durations.exact(allowed.seconds)} s; {_INSTEAD}"
    if ended.code == -signal.SIGXCPU or is_by_limit:
        return f"{failed} within {allowed.cpu_seconds:,} s of CPU time; {_INSTEAD}"
    if _lacked_memory(ended, allowed):
        return _of_memory(allowed, format_name)
    if -ended.code in _CRASHES:
        return (
            f"{failed}; it may be damaged (its reader crashed: {_name(ended)}). Open and save it "
            "with another program, or extract its text"
        )
    if ended.code == -signal.SIGKILL:
        return (
            f"{failed}: its reader was killed by SIGKILL, probably because this machine has too "
            "little memory; stop other programs (`free -m`), then try again"
        )
    if ended.code < 0:
        return f"{failed}: its reader was ended by {_name(ended)}; try again"
    last = ended.errors.strip().rpartition("\n")[2][:_LONGEST]
    return f"{failed}: its reader failed ({last or f'exit code {ended.code}'}); {_INSTEAD}"


def of_error(error: BaseException, format_name: str, allowed: Allowance) -> str:
    """The verdict on an error of the reader's, of any kind, in the reading process."""
    words = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
    if _is_for_memory(error, words, allowed):
        return _of_memory(allowed, format_name)
    if isinstance(error, ImportError):
        return (
            f"cannot be read as {format_name}, because its reader cannot be loaded ({words}); "
            f"install it again: {extras.command(registry.EXTRA, again=True)}"
        )
    if isinstance(error, OSError):  # it reads bytes, no file: the document is not the reason
        return f"cannot be read as {format_name}: its reader failed ({words}); {_INSTEAD}"
    return f"cannot be read as {format_name}; it may be damaged ({words})"


def of_length(most_bytes: int) -> str:
    """The verdict on a document with too much text."""
    return f"contains more than {most_bytes // 1_000_000} MB of text"


def _of_memory(allowed: Allowance, format_name: str) -> str:
    most = f"{allowed.memory_bytes / 1e9:.2g} GB"
    return f"takes more than {most} of memory to read as {format_name}; {_INSTEAD}"


def _lacked_memory(ended: Ended, allowed: Allowance) -> bool:
    """A library in C may crash when it gets no memory, and Python may end."""
    if -ended.code not in _CRASHES and ended.code <= 0:
        return False
    is_full = ended.memory_bytes >= NEAR * allowed.memory_bytes
    return is_full or _NO_MEMORY.search(ended.errors) is not None


def _is_for_memory(error: BaseException, words: str, allowed: Allowance) -> bool:
    """Some libraries have an error of their own when they get no memory."""
    if isinstance(error, MemoryError) or _NO_MEMORY.search(words):
        return True
    is_errno = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return is_errno or _most_used() >= NEAR * allowed.memory_bytes


def _most_used() -> int:
    """The most address space that this process had, in bytes; 0 where the kernel does not say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(r"^VmPeak:\s*(\d+) kB", status, re.M)
    return int(found[1]) * 1024 if found else 0


def _name(ended: Ended) -> str:
    try:
        return signal.Signals(-ended.code).name
    except ValueError:  # a real-time signal
        return f"signal {-ended.code}"
