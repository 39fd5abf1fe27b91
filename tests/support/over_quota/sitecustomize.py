"""A used-up quota: the kernel refuses to make a file grow with EDQUOT, as it does on a disk with
quotas (few test machines have a kernel with them). By seccomp(2), so that SQLite's writes are
refused too, and injected by environment: no hook in the product.
"""

import ctypes
import errno
import os
import platform
import struct

_ARCHITECTURES = {"x86_64": (0xC000003E, 18), "aarch64": (0xC00000B7, 68)}
"""The kernel's number for the machine, and for pwrite64 there (asm/unistd.h, linux/audit.h)."""
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EDQUOT


def _arm() -> None:
    machine, pwrite = _ARCHITECTURES[platform.machine()]
    steps = (
        *((_LOAD, 0, 0, 4), (_JUMP_IF_EQUAL, 0, 3, machine)),
        *((_LOAD, 0, 0, 0), (_JUMP_IF_EQUAL, 0, 1, pwrite)),
        *((_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)),
    )
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    filters = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0), (_PR_SET_SECCOMP, _MODE_FILTER, filters)):
        if libc.prctl(*arguments, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


if os.environ.get("KTJOB_OVER_QUOTA"):
    _arm()
