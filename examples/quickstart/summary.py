"""Summarise a file: `python summary.py FILE`. The request outlives this script."""

import sys
from pathlib import Path

from ktclient import submit_long

job = submit_long(Path(sys.argv[1]), summarize=True)
print(f"job {job.id}; if this script dies: ktjob result {job.id}", file=sys.stderr)
print(job.result())
