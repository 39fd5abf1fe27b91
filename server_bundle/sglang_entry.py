"""The old place of `plan/sglang_entry.py`.

A supervisor of an earlier layout that is still alive restarts its server by this path. Run by the
*server's* interpreter: it imports nothing of ours.
"""

from __future__ import annotations

import runpy
from pathlib import Path

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parent / "plan" / "sglang_entry.py"), run_name="__main__")
