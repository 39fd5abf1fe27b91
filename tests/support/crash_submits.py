"""What submitters do under fire (crash_loop): jobs of every kind that the store knows, and cancels.

Each kind of promise has a file of lines beside the state directory, written as soon as it was
given: STATE.printed (an id), STATE.keyed (key and id), STATE.cancels (an id, and its state right
after), and by the toy work STATE.acks and STATE.told.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from jobs import clock
from jobs.model import Capacity, NewJob
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import conductor

PROMISES = ("printed", "keyed", "cancels", "acks", "told")
POOLS = {
    "a": Capacity(slots=2),
    "b": Capacity(slots=2),
    "pool": Capacity(slots=2),
    "conducting": Capacity(slots=3),
}
"""The toy's conductors have their parts done in `pool`."""
DELAY_SECONDS = 0.3
TEXT = "begun 0 1 2 3 4 5 "
"""The whole output of a job that is no conductor."""
KEYS = 8
"""So few that most are used more than once."""


class Submitter:
    """One process that hands in one job, or cancels one, by the dice."""

    def __init__(self, state: StateDir, dice: random.Random) -> None:
        self._state, self._dice = state, dice
        self._kinds: tuple[Callable[[], None], ...] = (
            *(self._plain, self._plain, self._keyed, self._after),
            *(self._later, self._whole, self._cancel),
        )

    def act(self) -> None:
        self._dice.choice(self._kinds)()

    def _plain(self) -> None:
        self._submit(self._job())

    def _keyed(self) -> None:
        key = f"key {self._dice.randrange(KEYS)}"
        job_id = self._submit(replace(self._job(), submit_key=key))
        self._note("keyed", f"{key} {job_id}")

    def _after(self) -> None:
        known = self._printed()[-20:]
        needs = tuple(self._dice.sample(known, min(len(known), self._dice.randint(1, 2))))
        self._submit(replace(self._job(), needs=needs))

    def _later(self) -> None:
        self._submit(replace(self._job(), not_before=clock.ago(-DELAY_SECONDS)))

    def _whole(self) -> None:
        parts = [self._spec() for _ in range(self._dice.randint(2, 4))]
        spec = json.dumps({"parts": parts, "acks": self._path("acks")})
        self._submit(replace(self._job("conducting", conductor.ATTEMPTS), spec=spec))

    def _cancel(self) -> None:
        known = self._printed()[-4:]
        if known:
            with Store.open(self._state) as store:
                job = store.request_cancel(self._dice.choice(known))
            self._note("cancels", f"{job.id} {job.state}")

    def _job(self, pool: str | None = None, attempts: int | None = None) -> NewJob:
        """Half of them are to be told of."""
        told = (("file", self._path("told")),) if self._dice.random() < 0.5 else ()
        pool, attempts = pool or self._dice.choice("ab"), attempts or self._dice.randint(1, 4)
        spec = json.dumps(self._spec())
        return NewJob(pool, spec, b"document", "title", 1, attempts, tellings=told)

    def _spec(self) -> dict[str, object]:
        return {"say": "begun ", "acknowledge": 6, "acks": self._path("acks")}

    def _submit(self, new: NewJob) -> str:
        with Store.open(self._state) as store:
            (job,) = store.submit_all([new], POOLS)
        self._note("printed", job.id)
        return job.id

    def _printed(self) -> list[str]:
        return Path(self._path("printed")).read_text().split()

    def _path(self, kind: str) -> str:
        return f"{self._state.root}.{kind}"

    def _note(self, kind: str, line: str) -> None:
        with Path(self._path(kind)).open("a") as file:
            file.write(f"{line}\n")
