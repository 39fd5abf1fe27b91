"""Memory that this process has freed, given back to the kernel: for one that lives for weeks and
reads megabytes now and then. Only with glibc; elsewhere it does nothing.
"""

from __future__ import annotations

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 65_536


def keep_small() -> None:
    """One arena for all threads that start from now on, and documents in mappings of their own,
    which go as soon as they are freed (mallopt(3))."""
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)


def give_back() -> None:
    """Give the kernel what is free now (malloc_trim(3)). Takes milliseconds."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
