"""Whether an error means that memory ran out, and which limit was reached.

Python has several errors for it: for an object, a fork, a thread, or a library that is loaded.
"""

from __future__ import annotations

import errno
import resource

from jobs.system import cgroup

SHORT_BYTES = 4_000_000
_THREAD = "can't start new thread"
# CPython loses the MemoryError now and then, and OpenSSL's errors do not name it.
_NAMELESS = ("without exception set", "without setting an exception", "unknown error (_ssl.c")
_LIBRARY = ("failed to map segment", "Cannot allocate memory", "cannot allocate memory")


def is_it(error: BaseException) -> bool:
    """Whether this error, or one that it followed, is about memory."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if _is_one(cause):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def _is_one(error: BaseException) -> bool:
    if isinstance(error, ImportError):
        return any(words in str(error) for words in _LIBRARY)
    if isinstance(error, (SystemError, OSError)):
        is_nameless = any(words in str(error) for words in _NAMELESS)
        return _is_errno(error) or (is_nameless and _limit() is not None)
    return isinstance(error, MemoryError) or is_thread_refused(error)


def _is_errno(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOMEM


def is_thread_refused(error: BaseException) -> bool:
    """Whether no thread could be started: for lack of memory for its stack, or of processes."""
    return isinstance(error, RuntimeError) and _THREAD in str(error)


def is_short() -> bool:
    """Whether this process is about to reach its limit. SQLite has an I/O error for a file that
    could not be mapped."""
    limit = _limit()
    if limit is None:
        return False
    pages = cgroup.read(cgroup.ROOT, "proc/self/statm").split()
    used = int(pages[0]) * resource.getpagesize() if pages else 0
    return limit - used < SHORT_BYTES


def words(error: BaseException) -> str:
    """What ran out and what to do, as sentences."""
    if (limit := _limit()) is not None:
        cure = (
            f"this process may use {_megabytes(limit)} of address space (`ulimit -v`). Raise that "
            "limit"
        )
    elif (room := cgroup.memory_room()) is not None:
        cure = f"its cgroup may use {_megabytes(room.limit)} ({room.where}). Raise that limit"
    else:
        cure = "this machine has no more (`free -m`). Stop other programs"
    if is_thread_refused(error):
        return (
            "no thread could be started, for lack of memory or of processes (`ulimit -u`): "
            f"{cure}, or that of processes"
        )
    return f"memory ran out: {cure}, or use a smaller document"


def _limit() -> int | None:
    """The most address space of this process, in bytes; None without a limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
