"""Busy loops beside a command, as on a machine that others use: it must say the same there.

    python tests/support/busy_loops.py 16 -- pytest

Starts so many loops as child processes, runs the command, ends the loops, and exits with the
command's code. Exit code 2 where it is called otherwise, 127 where there is no such command.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

# A loop whose parent was killed ends too: it looks now and then whether it has another one.
_LOOP = """
import os, sys
parent = int(sys.argv[1])
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def busy_loops(count: int) -> Iterator[list[int]]:
    """`count` processes that compute until the end of the block. Gives their process ids."""
    with ExitStack() as stack:
        loops = []
        for _ in range(count):
            loop = subprocess.Popen([sys.executable, "-c", _LOOP, str(os.getpid())])
            stack.callback(loop.wait)
            stack.callback(loop.kill)
            loops.append(loop.pid)
        yield loops


def main(argv: Sequence[str]) -> int:
    if len(argv) < 3 or argv[1] != "--" or not argv[0].isdigit():
        print("usage: python tests/support/busy_loops.py COUNT -- COMMAND ...", file=sys.stderr)
        return 2
    with busy_loops(int(argv[0])):
        try:
            return subprocess.run(argv[2:], check=False).returncode
        except FileNotFoundError as error:
            print(error, file=sys.stderr)
            return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
