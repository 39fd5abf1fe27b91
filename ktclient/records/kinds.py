"""Jobs that ask no server themselves: their parts do, and they conduct them.

Such a job's spec has "conduct", the kind of it, beside what every spec has (task, server, model,
max_tokens, timeout: what people are shown), and version 2. It waits in a pool of its own.
"""

from __future__ import annotations

import json

from jobs.model import Capacity
from jobs.worker import conductor

POOL = "conducting"
CAPACITY = Capacity(slots=32)
"""Each is a process that sleeps. Conductors conduct none of their own kind, or they would wait for
one another."""
ATTEMPTS = conductor.ATTEMPTS
SPLIT = "split"
"""The kind of a job whose document is too long for one request."""
VERSION = 2
"""Of their specs: who knows only 1 is not to take one for a request."""


def kind_of(spec: str) -> str | None:
    """What is conducted; None where the job is a request itself."""
    kind = json.loads(spec).get("conduct")
    return None if kind is None else str(kind)
