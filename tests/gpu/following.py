"""A job followed from outside, several times a second, and what its forecasts were worth."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime

from jobs.store.store import Store
from ktclient import Job
from ktclient.config import settings as config
from ktclient.records.snapshot import Snapshot

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Shown:
    """What `ktjob status` said at one moment (seconds of the wall clock)."""

    at: float
    share: float
    eta: float


@dataclass
class Followed:
    """One job from its first look to its end. `first_token`: seconds from the start of sending."""

    job: Job
    shown: list[Shown] = field(default_factory=list)
    end: Snapshot | None = None

    def look(self) -> Snapshot:
        """Once; what has a share and a time left is kept."""
        now = self.job.status()
        if now.phase == "prefill" and now.done and now.total and now.eta_seconds is not None:
            self.shown.append(Shown(time.time(), now.done / now.total, now.eta_seconds))
        return now

    def until(self, share: float) -> None:
        """Look until so much is read, as it shows, or it has ended."""
        while True:
            now = self.look()
            if now.is_finished:
                raise SystemExit(f"the job ended before {share:.0%}: {now.message}")
            if now.done and now.total and now.done >= share * now.total:
                return
            time.sleep(LOOK_SECONDS)

    def until_phase(self, *phases: str) -> None:
        """Look until it is in one of these, or has ended."""
        while not (now := self.look()).is_finished and now.phase not in phases:
            time.sleep(LOOK_SECONDS)

    def to_end(self) -> Followed:
        """Look until it has ended."""
        while not (now := self.look()).is_finished:
            time.sleep(LOOK_SECONDS)
        self.end = now
        if now.state != "SUCCEEDED":
            raise SystemExit(f"job {now.id}: {now.state}: {now.message}")
        return self

    def phase_at(self, phase: str) -> float:
        """When the attempt entered it last: seconds of the wall clock."""
        with Store.open(config.load().state) as store:
            moments = [
                event.at
                for event in store.events(self.job.id)
                if event.kind == "phase" and event.data["phase"] == phase
            ]
        return datetime.fromisoformat(moments[-1].replace("Z", "+00:00")).timestamp()

    @property
    def first_token(self) -> float:
        """From the start of the upload, as the peer counts."""
        return self.phase_at("decode") - self.phase_at("sending")

    @property
    def error_before(self) -> float | None:
        """Of the time to the first token, as predicted before anything was read; None: it was not
        predicted."""
        assert self.end is not None
        predicted = self.end.figures.get("predicted_seconds")
        return predicted / self.first_token - 1 if isinstance(predicted, float) else None

    def error(self, share: float) -> float | None:
        """Of the whole time to the first token, as told when so much was read; None: not told."""
        told = next((one for one in self.shown if one.share >= share), None)
        if told is None:
            return None
        began = self.phase_at("sending")
        return (told.at + told.eta - began) / self.first_token - 1
