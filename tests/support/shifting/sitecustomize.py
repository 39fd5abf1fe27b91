"""A wall clock that is set while processes run, injected by environment: no hook in the product.

KTJOB_CLOCK is a file that holds seconds to add to the time of day, read anew at each look. Only
what the product asks for the time of day is shifted; monotonic clocks are not, as in life.
"""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path


def _arm(offset: Path) -> None:
    from jobs import clock

    def shift() -> float:
        return float(offset.read_text() or 0)

    class Shifted(datetime):
        @classmethod
        def now(cls, tz=None):  # type: ignore[no-untyped-def]
            return datetime.now(tz) + timedelta(seconds=shift())

    real = time.time
    time.time = lambda: real() + shift()
    clock.datetime = Shifted  # type: ignore[misc]


if os.environ.get("KTJOB_CLOCK"):
    _arm(Path(os.environ["KTJOB_CLOCK"]))
