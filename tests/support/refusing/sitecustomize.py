"""os.fork that fails with EAGAIN so many times, injected by environment: no hook in the product.

KTJOB_REFUSE is a file; each of its lines is one refusal, for whichever process of ours forks next.
(RLIMIT_NPROC does not bind root.)
"""

import errno
import os
from pathlib import Path


def _arm(left: Path) -> None:
    fork = os.fork

    def refusing() -> int:
        lines = left.read_text().splitlines()
        if not lines:
            return fork()
        left.write_text("".join(f"{line}\n" for line in lines[1:]))
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    os.fork = refusing


if os.environ.get("KTJOB_REFUSE"):
    _arm(Path(os.environ["KTJOB_REFUSE"]))
