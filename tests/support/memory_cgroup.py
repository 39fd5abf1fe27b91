"""A cgroup with a memory limit, of either version, whose processes the kernel kills beyond it."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from support.patience import HANG_SECONDS

_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")


def missing() -> str | None:
    """What this machine lacks for one, in words; None when one can be made."""
    if os.geteuid() != 0:
        return "only root may limit the memory of a cgroup"
    return _refusal()


@functools.cache
def _refusal() -> str | None:
    try:
        with memory_cgroup(100_000_000):
            return None
    except OSError as error:
        return f"no cgroup with a memory limit can be made: {error}"


@contextlib.contextmanager
def memory_cgroup(limit: int) -> Iterator[Path]:
    """Its folder; write a pid to `cgroup.procs`. Without swap, so that the limit is one."""
    is_v1 = _V1.is_dir()
    folder = Path(tempfile.mkdtemp(prefix="ktjob-test-", dir=_V1 if is_v1 else _V2))
    try:
        names = ("limit_in_bytes", "memsw.limit_in_bytes") if is_v1 else ("max",)
        for name in names:
            path = folder / f"memory.{name}"
            if path.exists() or not name.startswith("memsw"):
                path.write_text(str(limit))
        if (folder / "memory.swap.max").exists():
            (folder / "memory.swap.max").write_text("0")
        yield folder
    finally:
        give_up = time.monotonic() + HANG_SECONDS
        while (folder / "cgroup.procs").read_text() and time.monotonic() < give_up:
            time.sleep(0.02)
        folder.rmdir()
