"""The old name of `jobs.system.logout`.

A process of an earlier layout that is still alive (a runner, a worker of a job in parts, `ktjob
wait`) imports it by this name when it starts the next runner.
"""

from __future__ import annotations

from jobs.system.logout import threat as threat
from jobs.system.logout import way_out as way_out
