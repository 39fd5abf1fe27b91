"""Jobs that send no request themselves: they conduct their parts, which do.

Such a job's spec has "conduct", its kind, besides what every spec has (task, server, model,
max_tokens, timeout: what people are shown), and version 2. It waits in a pool of its own.
"""

from __future__ import annotations

import json

from jobs.model import Capacity
from jobs.worker import conductor

POOL = "conducting"
CAPACITY = Capacity(slots=32)
"""Each conductor is a process that sleeps. Conductors conduct no conductors, or they would wait for
one another."""
ATTEMPTS = conductor.ATTEMPTS
SPLIT = "split"
"""The kind of a job whose document is too long for one request."""
BATCH = "batch"
"""The kind of a job with many requests; its output is the lines of their results."""
PROBLEMS = "problems"
"""The metric of a batch whose lines cannot be used: a list of objects with line, code, message and
param. The job's message lists the first."""
VERSION = 2
"""The version of their specs: a ktjob that knows only 1 must not take one for a request."""


def kind_of(spec: str) -> str | None:
    """The kind of conductor; None if the job is a request itself."""
    kind = json.loads(spec).get("conduct")
    return None if kind is None else str(kind)
