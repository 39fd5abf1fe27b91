"""`jobs.detach`: the name by which detached processes are started.

`python -m jobs.detach` is written in systemd units, and live processes of earlier versions use it,
so it stays. The work itself is in `jobs/processes/detach.py`.
"""

from __future__ import annotations

import sys

from jobs.processes import detach

main = detach.main

if __name__ == "__main__":
    detach.main(sys.argv[1:])
