"""What is asked of a server that computes abandoned prompts to their end, and done to it meanwhile.

What was computed is the server's own count: sglang:realtime_tokens_total, mode prefill_compute.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import turns
from deployment import Deployment
from evidence import Evidence
from following import LOOK_SECONDS, Followed
from turns import KTJOB

from jobs.model import Attempt
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import errors

STRUCK_AT = 0.4
WARM_CHARACTERS = 30_000
COUNTER = "sglang:realtime_tokens_total{"


class Jobs:
    """The steps, each on a text of its own."""

    def __init__(
        self, server: Deployment, home: Path, text: str, rounds: int, evidence: Evidence
    ) -> None:
        self._server, self._home, self._text = server, home, text
        self._rounds, self._evidence = rounds, evidence
        self._state = StateDir(home / "state")
        self._texts = 0

    @property
    def _url(self) -> str:
        return str(self._server.status()["url"])

    def warm(self) -> None:
        """Both paths once, so that neither pays for kernels or a first import in what is measured;
        and the whole length once, for a curve to tell the time by."""
        turns.plain(self._url, self._document(self._text[:WARM_CHARACTERS]))
        followed = self._submit().to_end()
        self._forecasts(followed, "the first job on that server")

    def turns(self) -> None:
        """The peer and ours, each on a text of its own."""
        peer: list[tuple[float, float]] = []
        ours: list[tuple[Followed, float]] = []
        for number in range(1, self._rounds + 1):
            peer.append(turns.plain(self._url, self._document()))
            began = time.time()
            followed = self._submit().to_end()
            ours.append((followed, followed.phase_at("decode") - began))
            self._forecasts(followed, f"ktjob {number}")
        call = [one for one, _ in peer], [followed.first_token for followed, _ in ours]
        self._evidence.add(*turns.ratio("first token, from the call", *call))
        command = [one for _, one in peer], [seconds for _, seconds in ours]
        self._evidence.add(*turns.ratio("first token, from the command", *command))

    def pair(self) -> None:
        """Two together: what the second is promised while the first is in front of it."""
        began = time.time()
        first, second = self._submit(), self._submit()
        second.until_phase("waiting", "prefill")
        said = self._shown(second)
        both = [one.to_end() for one in (first, second)]
        after = [one.phase_at("decode") - began for one in both]
        self._forecasts(both[0], "two jobs, the first")
        self._forecasts(both[1], "two jobs, the second")
        told = " / ".join(f"{one:.1f} s" for one in after)
        self._evidence.add("two jobs, first tokens", told, self._notes(second), said=said)

    def cancel(self) -> None:
        """How soon it ends, what the server computes for nothing, and how the next one waits."""
        followed = self._struck()
        began, read = time.monotonic(), self._computed()
        followed.job.cancel()
        try:
            followed.job.result(timeout=120)
        except errors.JobCancelled as error:
            words = str(error)
        seconds = time.monotonic() - began
        self._evidence.add(
            "cancelled at 40 %", f"{seconds:.1f} s", words, said=self._shown(followed)
        )
        following = self._submit()
        said = self._while_it_waits(following)
        tokens = self._tokens(following.to_end())
        ghost = self._computed() - read - tokens
        self._forecasts(following, "the next job")
        waited = following.phase_at("sending") - following.phase_at("connecting")
        more = (
            f"computed for nothing after the cancel: {ghost:,.0f} tokens; {self._notes(following)}"
        )
        self._evidence.add("the next job, held back", f"{waited:.1f} s", more, said=said)

    def worker(self) -> None:
        """One more attempt, once the ghost of the first has ended."""
        before = self._computed()
        followed = self._struck()
        os.kill(self._attempt(followed).worker.pid, signal.SIGKILL)
        began = time.monotonic()
        said = self._while_it_waits(followed)
        followed.to_end()
        self._ended("worker killed -9 at 40 %", followed, began, before, said)

    def server(self) -> None:
        """Its supervisor starts it again; the job waits for that and is asked once more."""
        followed = self._struck()
        pid = self._server.status()["server"]["pid"]
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        said = self._while_it_waits(followed)
        back = time.monotonic() - began
        followed.to_end()
        self._ended("server killed -9 at 40 %", followed, began, 0.0, said)
        now = self._server.status()
        restarts = f"started again {now['restart_count']} times; {now['restarts'][-1]}"
        self._evidence.add("sent to the new server", f"{back:.0f} s after", restarts, status=now)

    def rank(self) -> None:
        """One process of several that compute dies: no request may wait for it for ever."""
        followed = self._struck()
        name, pid = self._last_rank()
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        said = self._while_it_waits(followed)
        back = time.monotonic() - began
        followed.to_end()
        self._ended(f"{name} killed -9 at 40 %", followed, began, 0.0, said)
        now = self._server.status()
        restarts = f"started again {now['restart_count']} times; {now['restarts'][-1]}"
        self._evidence.add("sent to the new server", f"{back:.0f} s after", restarts, status=now)

    def _last_rank(self) -> tuple[str, int]:
        """Of the processes that compute, the last by its title, which sglang sets."""
        found = []
        for one in self._server.status()["members"]:
            title = Path(f"/proc/{one['pid']}/cmdline").read_bytes().decode(errors="replace")
            if "scheduler" in title:
                found.append((title.replace("\0", " ").strip(), int(one["pid"])))
        if not found:
            raise SystemExit("no process of the server is titled 'scheduler'")
        return max(found)

    def _ended(
        self, what: str, followed: Followed, began: float, before: float, said: list[str]
    ) -> None:
        end = followed.end
        assert end is not None
        seconds, tokens = time.monotonic() - began, self._tokens(followed)
        computed = (self._computed() - before) / tokens
        with Store.open(self._state) as store:
            attempts = [(one.cause, one.message) for one in store.attempts(followed.job.id)]
        told = f"{end.state} after {end.attempt} attempts; computed {computed:.2f} of {tokens:,}"
        self._evidence.add(what, f"{seconds:.1f} s", told, attempts=attempts, said=said)
        self._evidence.add("  its first attempt", str(attempts[0][0]), str(attempts[0][1]))
        self._shown(followed)

    def _struck(self) -> Followed:
        followed = self._submit()
        followed.until(STRUCK_AT)
        return followed

    def _submit(self) -> Followed:
        return turns.submit(self._url, self._document())

    def _document(self, text: str | None = None) -> Path:
        """No two share a prefix, so that no cache helps."""
        self._texts += 1
        path = self._home / f"document-{time.time_ns()}.txt"
        path.write_text(f"Copy {path.stem}.\n{text or self._text}", encoding="utf-8")
        return path

    def _forecasts(self, followed: Followed, what: str) -> None:
        assert followed.end is not None
        figures = followed.end.figures
        source = figures.get("progress_source")
        row = turns.forecasts(followed, what, 1)
        more = f"{row[2]}; first token {followed.first_token:.2f} s; progress from {source}"
        self._evidence.add(row[0], row[1], more, figures=figures, shown=followed.shown)

    def _notes(self, followed: Followed) -> str:
        assert followed.end is not None
        shared = followed.end.figures.get("shared")
        return f"noted: {shared}" if shared else "no others noted"

    def _shown(self, followed: Followed) -> list[str]:
        """As `ktjob status ID` shows it now."""
        command = [*KTJOB, "status", followed.job.id]
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
        print(said, flush=True)
        return said.splitlines()

    def _while_it_waits(self, followed: Followed) -> list[str]:
        """What `status` says of it, each thing once, until the (next) attempt is in prefill."""
        said: list[str] = []
        began, attempt, last = time.monotonic(), followed.look().attempt, ""
        while not (now := followed.look()).is_finished:
            told = f"attempt {now.attempt} {now.state} {now.phase}: {now.message}"
            if told != last:
                said.append(f"{time.monotonic() - began:.1f} s  {told}, {now.done} of {now.total}")
                print(said[-1], flush=True)
                last = told
            if now.phase == "prefill" and (now.attempt > attempt or attempt == 0):
                break
            time.sleep(LOOK_SECONDS)
        return said

    def _tokens(self, followed: Followed) -> int:
        assert followed.end is not None
        return int(str(followed.end.figures["prompt_tokens"]))

    def _attempt(self, followed: Followed) -> Attempt:
        with Store.open(self._state) as store:
            attempt = store.attempt(store.job(followed.job.id))
        assert attempt is not None
        return attempt

    def _computed(self) -> float:
        """Tokens of prompts that the server has computed since its start; 0 where it is dead."""
        try:
            with urllib.request.urlopen(f"{self._url}/metrics", timeout=60) as answer:
                lines: list[str] = answer.read().decode().splitlines()
        except (urllib.error.URLError, OSError):
            return 0.0
        counted = [one for one in lines if one.startswith(COUNTER)]
        return sum(
            float(one.rsplit(" ", 1)[1]) for one in counted if 'mode="prefill_compute"' in one
        )
