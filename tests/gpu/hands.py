"""What people do with it, on a real sglang on a real GPU: a document beyond the window, a batch,
JSON by a schema, thinking, a command at the end; with conductors killed in the middle.

    python tests/gpu/hands.py --url URL --document FILE

The server's window must be shorter than the document. Prints a table. What the model says is not
looked at (it may have random weights), but for JSON, which a grammar makes of any model's words.
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
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from jobs.processes import identity  # noqa: E402
from jobs.store.state_dir import StateDir  # noqa: E402
from jobs.store.store import Store  # noqa: E402

KTJOB = [sys.executable, "-m", "ktclient"]
LINES = 40
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def main() -> None:
    """Run all steps and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--document", required=True)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ktjob-hands-") as folder:
        os.environ["KTJOB_HOME"] = str(Path(folder) / "state")
        os.environ["KTJOB_SERVER"] = asked.url
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        hands = Hands(asked.url, Path(folder))
        for step in (hands.split, hands.batch, hands.schema, hands.manners, hands.chain):
            began = time.monotonic()
            try:
                said = step(Path(asked.document))
            except Exception as error:  # the next steps are worth their minutes all the same
                said = f"FAILED: {type(error).__name__}: {error}"
            print(f"| {step.__name__} | {time.monotonic() - began:.1f} s | {said} |", flush=True)


class Hands:
    """The steps, each of which says what it saw."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder
        self._state = StateDir(folder / "state")

    def split(self, document: Path) -> str:
        """Beyond the window; its conductor killed when two parts have succeeded."""
        before = self._requests()
        job = self._ktjob("submit", str(document), "--summarize", "--max-tokens", "64")
        self._until(lambda: self._succeeded(job) >= 2)
        self._kill_worker(job)
        self._ktjob("wait", job)
        with Store.open(self._state) as store:
            parts, whole = store.parts(job), store.job(job)
        twice = sum(part.attempt != 1 for part in parts)
        self._ktjob("result", job, "--sources")
        return (
            f"{whole.state}, {len(parts)} requests of ours, {self._requests() - before:.0f} that "
            f"the server counts, asked twice: {twice}, attempts of the conductor: {whole.attempt}"
        )

    def batch(self, document: Path) -> str:
        """Its conductor killed when five lines are answered; then the same command again."""
        lines = [
            {
                "custom_id": f"line-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {
                    "model": "gpt-4o-mini",
                    "max_tokens": 16,
                    "messages": [
                        {"role": "system", "content": "Be brief."},
                        {"role": "user", "content": f"Question {number}: {number} + 1?"},
                    ],
                },
            }
            for number in range(LINES)
        ]
        file, results = self._folder / "in.jsonl", self._folder / "out.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        before = self._requests()
        job = self._ktjob("batch", str(file), "-o", str(results))
        self._until(lambda: self._succeeded(job) >= 5)
        self._kill_worker(job)
        again = self._ktjob("batch", str(file), "-o", str(results))
        self._ktjob("wait", job)
        self._ktjob("batch", str(file), "-o", str(results), "--wait", "-q")
        answered = [json.loads(line) for line in results.read_text().splitlines()]
        in_order = [one["custom_id"] for one in answered] == [line["custom_id"] for line in lines]
        return (
            f"{sum(one['error'] is None for one in answered)} of {LINES} answered, in order: "
            f"{in_order}, the same job again: {again == job}, requests that the server counts: "
            f"{self._requests() - before:.0f}"
        )

    def schema(self, document: Path) -> str:
        """JSON that follows, whatever the model is."""
        file, text = self._folder / "schema.json", self._folder / "short.txt"
        file.write_text(json.dumps(SCHEMA))
        text.write_text(document.read_text(encoding="utf-8")[:4000])
        told = []
        for _ in range(3):
            job = self._ktjob(
                *("submit", str(text), "--prompt", "Who?", "--schema", str(file)),
                *("--max-tokens", "200"),
            )
            self._ktjob("wait", job)
            told.append(json.loads(self._ktjob("result", job, "--json")))
        follow = sum(one["data"] is not None for one in told)
        figures = [one["figures"].get("schema_mismatch") for one in told]
        return f"{follow} of {len(told)} follow; mismatches {[one for one in figures if one]}"

    def manners(self, document: Path) -> str:
        """A system prompt, a temperature, and thinking both ways."""
        text = self._folder / "short.txt"
        states = []
        for thinking in ("on", "off"):
            job = self._ktjob(
                *("submit", str(text), "--thinking", thinking, "--system", "You are terse."),
                *("--temperature", "0.7", "--max-tokens", "16"),
            )
            self._ktjob("wait", job)
            states.append(json.loads(self._ktjob("status", job, "--json"))["state"])
        return f"thinking on and off: {', '.join(states)}"

    def chain(self, document: Path) -> str:
        """One after another, and a command at the end."""
        text, told = self._folder / "short.txt", self._folder / "told.txt"
        first = self._ktjob("submit", str(text), "--max-tokens", "16")
        second = self._ktjob(
            *("submit", str(text), "--max-tokens", "16", "--after", first),
            *("--on-done", f'echo "$KTJOB_STATE" > {told}; wc -c < "$KTJOB_RESULT" >> {told}'),
        )
        self._ktjob("wait", second)
        self._until(lambda: told.exists() and len(told.read_text().split()) == 2)
        return f"told: {' '.join(told.read_text().split())} bytes"

    def _ktjob(self, *words: str) -> str:
        done = subprocess.run([*KTJOB, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ktjob {words[0]} exits {done.returncode}: {done.stderr[-800:]}")
        return done.stdout.strip()

    def _succeeded(self, job_id: str) -> int:
        with Store.open(self._state) as store:
            return store.tally(job_id).succeeded

    def _kill_worker(self, job_id: str) -> None:
        with Store.open(self._state) as store:
            attempt = store.attempt(store.job(job_id))
        assert attempt is not None and identity.is_same_process_alive(attempt.worker)
        os.kill(attempt.worker.pid, signal.SIGKILL)

    def _until(self, condition: Callable[[], bool], seconds: float = 240.0) -> None:
        give_up = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up:
                raise TimeoutError(f"not within {seconds:g} s")
            time.sleep(0.05)

    def _requests(self) -> float:
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        counted = [line for line in lines if line.startswith("sglang:num_requests_total{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in counted)


if __name__ == "__main__":
    main()
