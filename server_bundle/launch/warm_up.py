"""The warm-up after a restart by the supervisor, beside its supervision.

`ktserver up` warms up what it starts. After a crash nobody waits at a terminal, so the supervisor
sends the same request: else the first user's request pays for kernels and lazy buffers.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from server_bundle.launch import readiness
from server_bundle.launch.readiness import Warm
from server_bundle.plan import key_file
from server_bundle.plan.launch_plan import LaunchPlan

ANSWER_SECONDS = 300.0
"""How long after READY in its log a server may take to answer: sglang opens its port last."""
LOOK_SECONDS = 0.5


class WarmUp:
    """One warm-up, in a thread of its own. It ends with its request, so soon after the server."""

    def __init__(self, plan: LaunchPlan) -> None:
        self._plan = plan
        self._warm: Warm | None = None
        self._began = time.monotonic()
        self._seconds = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def in_words(self) -> str | None:
        """How it ended, for the log; None before its end."""
        warm = self._warm
        if warm is None:
            return None
        if warm.why:
            return f"the warm-up failed after {self._seconds:.1f} s: {warm.why}"
        return f"warmed up with {warm.tokens:,} tokens in {self._seconds:.1f} s"

    def _run(self) -> None:
        warm = self._warmed()
        self._seconds = time.monotonic() - self._began
        self._warm = warm

    def _warmed(self) -> Warm:
        plan = self._plan
        try:
            key = key_of(plan)
            while not readiness.is_answering(plan.url, key):
                if time.monotonic() - self._began > ANSWER_SECONDS:
                    return Warm(0, f"it did not answer for {ANSWER_SECONDS:g} s")
                time.sleep(LOOK_SECONDS)
            return readiness.warm_up(plan.url, plan.served_name, plan.warmup_tokens, key)
        except Exception as error:  # supervision must not end with it
            return Warm(0, str(error) or type(error).__name__)


def key_of(plan: LaunchPlan) -> str | None:
    """The server's key, from the file that the server itself reads; None where it has none."""
    words = plan.argv
    names = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--config"]
    return key_file.read(Path(names[-1])) if names else None
