"""What faults cost on a real sglang on a real GPU, with prompts of more than 500,000 tokens.

    python tests/gpu/faults.py --python SERVER_PYTHON --model DIR --document FILE [-- FLAGS]

starts the server with `ktserver up --restart on-failure` and strikes in mid-prefill: worker, runner
and everything of ours killed -9, a cancel, the server stopped for a while, the server killed -9.
What was computed is read from the server's own counter. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "gpu")]

from following import Followed  # noqa: E402

from jobs.model import Attempt  # noqa: E402
from jobs.processes import identity  # noqa: E402
from jobs.store.state_dir import StateDir  # noqa: E402
from jobs.store.store import Store  # noqa: E402
from ktclient import Job, errors  # noqa: E402

KTJOB = [sys.executable, "-m", "ktclient"]
KTSERVER = [sys.executable, "-c", "from ktclient.cli.ktserver import main; main()"]
STRUCK_AT = 0.4
STOPPED_SECONDS = 20.0
COUNTER = "sglang:realtime_tokens_total{"


def main() -> None:
    """Run all steps and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the server's interpreter")
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--document", required=True)
    parser.add_argument("flags", nargs="*", help="after --: for the server")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ktjob-faults-") as folder:
        os.environ["KTJOB_HOME"] = str(Path(folder) / "state")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        faults = Faults(_up(asked), Path(folder), Path(asked.document).read_text(encoding="utf-8"))
        try:
            faults.warm()
            for step in (
                *(faults.undisturbed, faults.worker_killed, faults.all_of_ours_killed),
                *(faults.cancelled, faults.server_stopped, faults.server_killed),
            ):
                _tell(step)
        finally:
            subprocess.run([*KTSERVER, "down", "--force"], check=False)


def _tell(step: Callable[[], str]) -> None:
    began = time.monotonic()
    try:
        said = step()
    except (Exception, SystemExit) as error:  # the next steps are worth their minutes all the same
        said = f"FAILED: {type(error).__name__}: {error}"
    print(f"| {step.__name__} | {time.monotonic() - began:.1f} s | {said} |", flush=True)


def _up(asked: argparse.Namespace) -> str:
    command = [*KTSERVER, "up", "--profile", "generic-sglang", "--restart", "on-failure"]
    command += ["--python", asked.python, "--model", asked.model, "--context", "1048576"]
    done = subprocess.run([*command, "--", *asked.flags], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("the server did not start")
    return done.stdout.split()[0]


class Faults:
    """The steps, each on a text of its own, and each says what it saw."""

    def __init__(self, url: str, folder: Path, text: str) -> None:
        self._url, self._folder, self._text = url, folder, text
        self._state = StateDir(folder / "state")
        self._texts = 0
        self._before = 0.0

    def warm(self) -> None:
        """Two whole ones: kernels, imports, and a curve to tell the time by."""
        for _ in range(2):
            self._submit().to_end()

    def undisturbed(self) -> str:
        """What one costs."""
        return self._ended(self._submit().to_end())

    def worker_killed(self) -> str:
        """One more attempt, once the server has dropped the first."""
        followed = self._struck()
        os.kill(self._attempt(followed.job).worker.pid, signal.SIGKILL)
        return self._ended(followed.to_end())

    def all_of_ours_killed(self) -> str:
        """Runner and worker at once; the next command goes on."""
        followed = self._struck()
        worker, runner = (
            self._attempt(followed.job).worker,
            identity.holder(self._state.runner_lock),
        )
        assert runner is not None
        for one in (runner, worker):
            os.kill(one.pid, signal.SIGKILL)
        subprocess.run([*KTJOB, "status"], stdout=subprocess.DEVNULL, check=True)
        return self._ended(followed.to_end())

    def cancelled(self) -> str:
        """How soon, and what is computed after it; then a short one is answered."""
        followed = self._struck()
        began, read = time.monotonic(), self._computed()
        followed.job.cancel()
        try:
            followed.job.result(timeout=120)
        except errors.JobCancelled as error:
            words = str(error)
        seconds = time.monotonic() - began
        while self._is_computing():
            time.sleep(0.5)
        more = self._computed() - read
        short = self._submit(self._text[:2000]).to_end()
        return (
            f"ended in {seconds:.1f} s, {more:,.0f} tokens computed after it, the next is answered "
            f"in {short.first_token:.1f} s; still computes: {'still computes' in words}"
        )

    def server_stopped(self) -> str:
        """SIGSTOP for all processes of the server, then SIGCONT."""
        followed = self._struck()
        members = [one["pid"] for one in self._server()["members"]]
        for pid in members:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(STOPPED_SECONDS)
        for pid in members:
            os.kill(pid, signal.SIGCONT)
        return self._ended(followed.to_end())

    def server_killed(self) -> str:
        """Its keeper starts it again; the job waits for that and is asked once more."""
        followed = self._struck()
        pid = self._server()["server"]["pid"]
        os.kill(pid, signal.SIGKILL)
        while "not accepted" not in self._kinds(followed.job):
            time.sleep(0.2)
        self._before = 0.0  # a new server counts from zero
        told = self._ended(followed.to_end())
        return f"{told}; started again: {self._server()['restart_count']}"

    def _struck(self) -> Followed:
        followed = self._submit()
        followed.until(STRUCK_AT)
        return followed

    def _submit(self, text: str | None = None) -> Followed:
        self._before = self._computed()
        self._texts += 1
        document = self._folder / f"document-{self._texts}.txt"
        document.write_text(f"Copy {self._texts}.\n{text or self._text}", encoding="utf-8")
        command = [*KTJOB, "submit", str(document), "--summarize", "--server", self._url]
        done = subprocess.run(
            [*command, "--max-tokens", "16"], capture_output=True, text=True, check=True
        )
        return Followed(Job(done.stdout.split()[0]))

    def _ended(self, followed: Followed) -> str:
        end = followed.end
        assert end is not None
        tokens = int(str(end.figures["prompt_tokens"]))
        computed = (self._computed() - self._before) / tokens
        with Store.open(self._state) as store:
            notes = [
                one.data for one in store.events(followed.job.id) if one.kind == "last attempt"
            ]
            causes = [one.cause for one in store.attempts(followed.job.id)]
        return (
            f"{end.state} after {end.attempt} attempts ({causes}, {notes}); computed: "
            f"{computed:.2f} of {tokens:,} tokens, cached {end.figures.get('cached_tokens')}"
        )

    def _attempt(self, job: Job) -> Attempt:
        with Store.open(self._state) as store:
            attempt = store.attempt(store.job(job.id))
        assert attempt is not None
        return attempt

    def _kinds(self, job: Job) -> list[str]:
        with Store.open(self._state) as store:
            return [event.kind for event in store.events(job.id)]

    def _server(self) -> dict[str, Any]:
        done = subprocess.run([*KTSERVER, "status", "--json"], stdout=subprocess.PIPE, check=False)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _computed(self) -> float:
        """Tokens of prompts that the server has computed since its start."""
        lines = [one for one in self._metrics() if one.startswith(COUNTER)]
        return sum(float(one.rsplit(" ", 1)[1]) for one in lines if 'mode="prefill_compute"' in one)

    def _is_computing(self) -> bool:
        before = self._computed()
        time.sleep(1.5)
        return self._computed() > before

    def _metrics(self) -> list[str]:
        try:
            with urllib.request.urlopen(f"{self._url}/metrics", timeout=60) as answer:
                lines: list[str] = answer.read().decode().splitlines()
        except (urllib.error.URLError, OSError):
            return []  # it is dead just now
        return lines


if __name__ == "__main__":
    main()
