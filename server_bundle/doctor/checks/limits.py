"""The limits of this user's processes: open files and locked memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.finding import Finding, note, ok, warning

_ABOUT = "limits"
_FILES = 65_535
"""sglang raises its soft limit to this (srt/utils/common.py, set_ulimit)."""
_FILES_FEW = 8_192


def check(case: Case) -> Iterator[Finding]:
    """Check the hard limits: sglang raises its soft limits up to those."""
    text = case.machine.read("proc/self/limits")
    files = hard(text, "Max open files")
    if files is None:
        yield ok(_ABOUT, "no limit on open files")
    elif files < _FILES_FEW:
        why = "all ranks need files for connections, weights and pipes: Too many open files"
        cure = f"set ulimit -n {_FILES} (systemd: LimitNOFILE={_FILES})"
        yield warning(_ABOUT, f"{files:,} open files", why, "sglang set_ulimit", cure)
    else:
        yield ok(_ABOUT, f"{files:,} open files")
    locked = hard(text, "Max locked memory")
    if locked is not None and locked < 1 << 30 and case.wants_gpus > 1:
        why = "it matters only for RDMA between machines; CUDA pins memory without it"
        cure = "set ulimit -l unlimited"
        yield note(_ABOUT, f"{locked >> 20:,} MiB of locked memory", why, "", cure)


def hard(limits: str, name: str) -> int | None:
    """A hard limit by its name in proc(5); None without one."""
    found = re.search(rf"^{name} +\S+ +(\d+)", limits, re.M)
    return int(found[1]) if found else None
