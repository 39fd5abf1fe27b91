"""`jobs.runner STATE_DIR MODULE:FUNCTION`: as `jobs/program.py`, systemd units and live runners of
earlier versions (`python -m jobs.runner`) name it."""

from __future__ import annotations

import sys

from jobs.runner import loop

main = loop.main

if __name__ == "__main__":
    loop.main(sys.argv[1:])
