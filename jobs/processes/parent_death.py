"""A child that ends with its parent, however that dies: the kernel kills it (PR_SET_PDEATHSIG,
prctl(2)). No code of the child has to run for it, so it may be stopped, or compute in C."""

from __future__ import annotations

import ctypes
import os
import signal

_PDEATHSIG = 1  # PR_SET_PDEATHSIG, linux/prctl.h


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent, process `parent`, dies; exit here if it
    has died already.

    For the kernel the parent is the thread that forked. So that thread must wait for the child:
    then it ends first only if its process does.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above: no signal will come
        os._exit(1)
