"""`python -m jobs.detach`: the old name of `jobs.processes.detach`.

A runner of an earlier layout that is still alive starts processes by this name.
"""

from __future__ import annotations

import sys

from jobs.processes import detach

if __name__ == "__main__":
    detach.main(sys.argv[1:])
