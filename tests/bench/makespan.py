"""A mixed queue, by ktjob and without it: `python tests/bench/makespan.py --orders 3`.

Two prompts of 600,000 tokens and ten of 20,000 are all there at time 0, in an order that a seed
fixes, for one server as in the deployment guide: sglang-kt, two requests at a time, a KV pool of
964,864 tokens, no prefix cache, 590 tokens/s of prefill falling to 320 at 600,000. The server is
the scripted one, `--speed` times as fast; ktjob runs whole, with its runner and its workers, and
its jobs are handed over while its runner is stopped, so that they too are all there at time 0; a
second time with `--priority 1` for the small ones. The peers are threads of one process with the
openai client:

- at once: all sent in that order, without timeouts or retries;
- two at a time: likewise, the next when one has ended;
- openai's defaults: at once, with 600 s of timeout and two retries.

Times are of the server's clock. What a client needs in real time (to fork a worker, to ask the
server who it is) counts `--speed` fold: "idle" is how long the server had nothing to do before
the last answer, and bounds that distortion.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import openai

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from fake_sglang.process import FakeServer, fake_sglang  # noqa: E402
from support import processes  # noqa: E402
from support.long_document import long_document  # noqa: E402

from jobs.model import Outcome as Ending  # noqa: E402
from jobs.processes import identity  # noqa: E402
from jobs.store.state_dir import StateDir  # noqa: E402
from jobs.store.store import Store  # noqa: E402
from ktclient import Job, submit_long  # noqa: E402
from ktclient.config import settings as config  # noqa: E402
from ktclient.documents import document as documents  # noqa: E402
from ktclient.planning.options import RequestOptions  # noqa: E402
from ktclient.prompts import tasks  # noqa: E402
from ktclient.submission import enqueue  # noqa: E402
from ktclient.submission.options import SubmitOptions  # noqa: E402
from ktclient.tokens import bundled  # noqa: E402
from ktclient.tokens.counter import Counter  # noqa: E402

LARGE, SMALL = 600_000, 20_000
MIX = (LARGE,) * 2 + (SMALL,) * 10
RATE = "590:320@600000"
ANSWER_WORDS, WORD_SECONDS = 64, 0.64
"""About 41 s, as long as 1,024 tokens at 25 a second take; fewer and longer steps, because real
steps at that speed would be too short to sleep through."""
MAX_TOKENS = 1024
OPENAI_TIMEOUT, OPENAI_RETRIES = 600.0, 2
LOST_SECONDS = 5 * 3600.0
"""Of the server's clock: what has no answer by then has none."""


@dataclass(frozen=True)
class Ask:
    """One request: its document, the same with the instruction, and its tokens."""

    tokens: int
    document: str

    @property
    def message(self) -> str:
        return tasks.message(self.document, tasks.task(True, None, None))


@dataclass(frozen=True)
class Outcome:
    """Seconds of the server's clock: `answered`, tokens and end of each that has its answer;
    `idle`, without anything to do. `prefilled` in tokens."""

    answered: list[tuple[int, float]]
    failed: int
    retracted: int
    prefilled: int
    idle: float

    def makespan(self) -> float:
        return max(end for _, end in self.answered)

    def mean(self) -> float:
        return statistics.mean(end for _, end in self.answered)

    def median(self) -> float:
        return statistics.median(end for _, end in self.answered)

    def small(self) -> float:
        return statistics.mean(end for tokens, end in self.answered if tokens == SMALL)

    def told(self) -> str:
        """On one line, times in minutes."""
        ends = " ".join(f"{end / 60:.1f}" for _, end in self.answered)
        return (
            f"answers after {ends} min; {self.failed} without, {self.retracted} retracted, "
            f"{self.prefilled:,} tokens prefilled, {self.idle:.0f} s idle"
        )


Times = tuple[float, "list[float | None]"]

Run = Callable[[FakeServer, Sequence[Ask], float], Times]
"""Sends all, at that speed. Returns time 0 and when each was answered, in real time by the
monotonic clock; None: it was not."""


def main() -> None:
    """Measure all ways in turns, order by order, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", type=float, default=100.0)
    parser.add_argument("--orders", type=int, default=1, help="how many orders of arrival")
    parser.add_argument("--seed", type=int, default=1, help="of the first order")
    asked = parser.parse_args()
    book = long_document()
    tokens_per_char = Counter(bundled.deepseek_v4()).count(book) / len(book)
    found: dict[str, list[Outcome]] = {name: [] for name in RUNS}
    for seed in range(asked.seed, asked.seed + asked.orders):
        asks = in_order(book, tokens_per_char, seed)
        print(f"order {seed}:", *(f"{ask.tokens // 1000}K" for ask in asks), flush=True)
        for name, run in RUNS.items():
            with tempfile.TemporaryDirectory(prefix="ktjob-makespan-") as folder:
                one = measure(Path(folder), run, asks, tokens_per_char, asked.speed)
            found[name].append(one)
            print(f"  {name}: {one.told()}", flush=True)
    table(found)


def in_order(book: str, tokens_per_char: float, seed: int) -> list[Ask]:
    """The mix in the order of this seed; no two documents are alike."""
    step = int(SMALL / tokens_per_char)
    asks = [
        Ask(tokens, book[number * step :][: int(tokens / tokens_per_char)])
        for number, tokens in enumerate(MIX)
    ]
    random.Random(seed).shuffle(asks)
    return asks


def measure(
    tmp: Path, run: Run, asks: Sequence[Ask], tokens_per_char: float, speed: float
) -> Outcome:
    """One way to send them, to a server of its own."""
    options = {
        "--rate": RATE,
        "--speed": speed,
        "--tokens-per-char": tokens_per_char,
        "--answer": "word " * ANSWER_WORDS,
        "--token-seconds": WORD_SECONDS,
    }
    words = [str(word) for pair in options.items() for word in pair]
    with fake_sglang(tmp, *words, "--metrics", "--real-notice") as server:
        began, ends = run(server, asks, speed)
        events = [event for event in server.events() if event["t"] >= began]
    answered = [
        (ask.tokens, (end - began) * speed)
        for ask, end in zip(asks, ends, strict=True)
        if end is not None
    ]
    return Outcome(
        answered,
        failed=len(asks) - len(answered),
        retracted=sum(event["kind"] == "retracted" for event in events),
        prefilled=sum(event["prefilled"] for event in events if event["kind"] == "finished"),
        idle=_idle(events, began) * speed,
    )


def _idle(events: Sequence[dict[str, Any]], began: float) -> float:
    """Real seconds from time 0 to the last end in which the server had nothing admitted."""
    idle, since, busy = 0.0, began, 0
    for event in events:
        if event["kind"] == "prefill_started":
            idle += 0.0 if busy else event["t"] - since
            busy += 1
        elif event["kind"] in ("finished", "retracted") and busy:
            busy -= 1
            since = event["t"]
    return idle


def by_ktjob(server: FakeServer, asks: Sequence[Ask], speed: float, *, for_small: int = 0) -> Times:
    """The whole product, its runner warm as after any job before."""
    state = StateDir(server.record / "state")
    os.environ["KTJOB_HOME"] = str(state.root)
    os.environ["KTJOB_CONFIG"] = str(server.record / "config")
    try:
        submit_long("A first job.", server=server.url, max_tokens=1).wait(60)
        runner = identity.holder(state.runner_lock)
        assert runner is not None
        os.kill(runner.pid, signal.SIGSTOP)
        jobs = [_submit(ask, server, for_small if ask.tokens == SMALL else 0) for ask in asks]
        began, wall = time.monotonic(), time.time()
        os.kill(runner.pid, signal.SIGCONT)
        give_up = began + LOST_SECONDS / speed
        while any(_end_of(state, job.id) is None for job in jobs) and time.monotonic() < give_up:
            time.sleep(0.2)
        ends = [_end_of(state, job.id) for job in jobs]
        return began, [None if end is None else began + end - wall for end in ends]
    finally:
        processes.end_all(state)


def _submit(ask: Ask, server: FakeServer, priority: int) -> Job:
    """As `ktjob submit` does."""
    task = tasks.task(True, None, None)
    request = RequestOptions(task, MAX_TOKENS, server=server.url)
    options = SubmitOptions(request, priority)
    document = documents.from_text(ask.document, "text")
    (job_id, _), *_ = enqueue.enqueue(document, options, config.load())
    return Job(job_id)


def _end_of(state: StateDir, job_id: str) -> float | None:
    """When it was answered, by the wall clock."""
    with Store.open(state) as store:
        job = store.job(job_id)
    if job.finished_at is None or job.outcome is not Ending.SUCCEEDED:
        return None
    return datetime.fromisoformat(job.finished_at.replace("Z", "+00:00")).timestamp()


def by_threads(
    server: FakeServer,
    asks: Sequence[Ask],
    speed: float,
    *,
    at_a_time: int = len(MIX),
    timeout: float | None = None,
    retries: int = 0,
) -> Times:
    """One thread for each that is under way; they begin in order."""
    url = f"{server.url}/v1"
    patience = None if timeout is None else timeout / speed
    clients = [
        openai.OpenAI(base_url=url, api_key="none", timeout=patience, max_retries=retries)
        for _ in asks
    ]
    messages = [ask.message for ask in asks]
    with ThreadPoolExecutor(at_a_time) as pool:
        began = time.monotonic()
        sent = []
        for number, (client, message) in enumerate(zip(clients, messages, strict=True)):
            sent.append(pool.submit(_ask, client, message))
            if number < at_a_time:  # so that they arrive in order
                server.wait_for_event("request", n=number + 1)
        _, stuck = wait(sent, timeout=LOST_SECONDS / speed)
        if stuck:
            server.process.kill()
        return began, [future.result() for future in sent]


def _ask(client: openai.OpenAI, message: str) -> float | None:
    try:
        client.chat.completions.create(
            model="DeepSeek-V4-Flash",
            messages=[{"role": "user", "content": message}],
            max_tokens=MAX_TOKENS,
        )
    except openai.OpenAIError:
        return None
    return time.monotonic()


RUNS: dict[str, Run] = {
    "ktjob": by_ktjob,
    "ktjob, small prompts first": partial(by_ktjob, for_small=1),
    "all simultaneously, no timeouts": by_threads,
    "two at a time, no timeouts": partial(by_threads, at_a_time=2),
    "all simultaneously, openai's defaults": partial(
        by_threads, timeout=OPENAI_TIMEOUT, retries=OPENAI_RETRIES
    ),
}


def table(found: dict[str, list[Outcome]]) -> None:
    """Medians over the orders: ktjob's in minutes of the server's clock, the others' as ratios to
    it where all were answered."""
    print(
        "\n| | last answer | mean | median | mean of the small | no answer | retracted | idle |"
        "\n|---|---|---|---|---|---|---|---|"
    )
    ours = found["ktjob"]
    for name, outcomes in found.items():
        cells = []
        for measured in (Outcome.makespan, Outcome.mean, Outcome.median, Outcome.small):
            if name == "ktjob":
                cells.append(f"{statistics.median(map(measured, ours)) / 60:.1f} min")
            else:
                pairs = zip(outcomes, ours, strict=True)
                ratios = [measured(one) / measured(our) for one, our in pairs if not one.failed]
                cells.append(f"x {statistics.median(ratios):.2f}" if ratios else "-")
        failed = statistics.mean(one.failed for one in outcomes)
        retracted = statistics.mean(one.retracted for one in outcomes)
        idle = statistics.median(one.idle for one in outcomes)
        cells += [f"{failed:.1f} of 12", f"{retracted:g}", "-" if failed else f"{idle:.0f} s"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
