"""The command: `python tests/fake_sglang/sglang.py --port 0 [options]`, a simulated sglang server.

Prints one line, `listening on http://127.0.0.1:PORT`, when it is ready, and ends on SIGTERM.
What it imitates is in `options.py` (what can be asked), `engine.py` (the scheduler; with
`requests.py`, `radix.py`, `pace.py`, `gauges.py`), `wire.py` and `loads.py` (every byte shape),
`serverlog.py` (the server's own log), `chat.py` (one chat request), `faults.py` (what goes wrong on
demand). Recordings of the real ones are replayed against it by tests/double.
"""

import sys
from pathlib import Path

# As a script, Python puts this folder first on the path: `fake_sglang` is then not importable.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fake_sglang.server import main

if __name__ == "__main__":
    main()
