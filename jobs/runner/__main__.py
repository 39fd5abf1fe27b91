"""`python -m jobs.runner STATE_DIR MODULE:FUNCTION`: as systemd units and live runners name it."""

from __future__ import annotations

import sys

from jobs.runner import loop

if __name__ == "__main__":
    loop.main(sys.argv[1:])
