"""Ratios against a peer in the same run: `python tests/bench/run.py`.

Absolute times say something about the machine, ratios about the product. Each pair is measured
in turns, so that both sides see the same load; medians are compared.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from bench import startup  # noqa: E402
from fake_sglang.process import FakeServer, fake_sglang  # noqa: E402
from support import processes  # noqa: E402
from support.long_document import long_document  # noqa: E402

from jobs.processes import identity  # noqa: E402
from jobs.store.state_dir import StateDir  # noqa: E402

ROUNDS = 9
HELD = 4
"""Requests held at once when memory is measured."""
KTJOB = [str(Path(sys.executable).with_name("ktjob"))]
PYTHON = [sys.executable]


def main() -> None:
    """Measure all and print tables: what commands cost to start, and ratios of the rest."""
    startup.main()
    with tempfile.TemporaryDirectory(prefix="ktjob-bench-") as folder:
        tmp = Path(folder)
        state = StateDir(tmp / "state")
        os.environ["KTJOB_HOME"] = str(state.root)
        book = tmp / "book.txt"
        book.write_text(long_document(), encoding="utf-8")
        try:
            for rows in (_startup(tmp, state, book), [_memory(tmp, state, book)]):
                for what, ratio, aim in rows:
                    print(f"{what:<65} {ratio:5.2f}x   aim at most {aim}x", flush=True)
        finally:
            processes.end_all(state)


Row = tuple[str, float, float]


def _startup(tmp: Path, state: StateDir, book: Path) -> list[Row]:
    with fake_sglang(tmp, "--prefill-seconds", "0.01") as server:
        submit = [*KTJOB, "submit", str(book), "--server", server.url, "--max-tokens", "8"]
        importing = [*PYTHON, "-c", "import openai"]

        def cold() -> None:
            processes.end_all(state)

        return [
            (
                "submit of 676K tokens, runner alive / python -c 'import openai'",
                _ratio(submit, importing),
                1.5,
            ),
            (
                "submit of 676K tokens, runner started / the same",
                _ratio(submit, importing, before=cold),
                1.5,
            ),
            (
                "ktjob status of 20 jobs / python -c pass",
                _ratio([*KTJOB, "status"], [*PYTHON, "-c", "pass"]),
                6,
            ),
        ]


def _ratio(
    ours: Sequence[str], theirs: Sequence[str], before: Callable[[], None] = lambda: None
) -> float:
    mine, peer = [], []
    for _ in range(ROUNDS):
        before()
        mine.append(_seconds(ours))
        peer.append(_seconds(theirs))
    return statistics.median(mine) / statistics.median(peer)


def _seconds(command: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def _memory(tmp: Path, state: StateDir, book: Path) -> Row:
    """PSS that each held request adds, against a script that holds the same one with openai."""
    processes.end_all(state)
    config = tmp / "config"
    config.mkdir()
    (config / "config.toml").write_text(f"[server]\nparallel = {HELD}\n")
    os.environ["KTJOB_CONFIG"] = str(config)
    hold = ("--prefill-seconds", "600", "--max-running", "64", "--pool", "4000000")
    with fake_sglang(tmp, *hold) as server:
        alone = _runner_alone(state, server, tmp)
        for _ in range(HELD):
            subprocess.run(
                [*KTJOB, "submit", str(book), "--server", server.url],
                check=True,
                capture_output=True,
            )
        _wait_for_requests(server, HELD)
        together = sum(_pss(one.pid) for one in processes.of(state))
        each = (together - alone) / HELD
        direct = _direct(server, book, tmp)
    print(
        f"PSS: runner alone {alone:,.0f} kB, each request {each:,.0f} kB, direct {direct:,.0f} kB"
    )
    return f"PSS of each of {HELD} requests beyond the runner / direct.py", each / direct, 0.3


def _runner_alone(state: StateDir, server: FakeServer, tmp: Path) -> float:
    """The runner's PSS once it has imported everything and has no worker."""
    from jobs.runner import start as runner_start
    from ktclient.records import access

    runner_start.ensure_runner(state.create(), access.WORK_ENTRY)
    runner = identity.holder(state.runner_lock)
    assert runner is not None
    last = 0.0
    while abs((now := _pss(runner.pid)) - last) > 100:  # it imports openai first
        last = now
        time.sleep(1.0)
    return last


def _direct(server: FakeServer, book: Path, tmp: Path) -> float:
    script = TESTS / "acceptance" / "direct.py"
    command = [*PYTHON, str(script), f"{server.url}/v1", str(book), str(tmp / "never.txt"), "64"]
    before = len(server.requests())
    with subprocess.Popen(command) as process:
        try:
            _wait_for_requests(server, before + 1)
            return _pss(process.pid)
        finally:
            process.kill()


def _wait_for_requests(server: FakeServer, count: int) -> None:
    give_up = time.monotonic() + 60
    while len(server.events("request")) < count:
        assert time.monotonic() < give_up, server.events()
        time.sleep(0.05)
    time.sleep(1.0)  # let both sides free what they needed for sending


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return float(line.split()[1])
    raise AssertionError(f"no Pss of {pid}")


if __name__ == "__main__":
    main()
