"""One real GPU, one real sglang, prompts of more than 500,000 tokens, everything by our commands.

    python tests/gpu/run.py --python SERVER_PYTHON --model DIR --document FILE [-- FLAGS]

starts the server with `ktserver up`, asks with a plain openai client and with ktjob in turns,
follows, cuts, reattaches, asks again about the same document, stops the server, and prints a
table. With --url it uses a server that runs already. Its own state directory is a new one.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "gpu")]

import turns  # noqa: E402
from following import Followed  # noqa: E402
from turns import KTJOB, MAX_TOKENS, Row  # noqa: E402

from jobs.processes import identity  # noqa: E402
from jobs.store.store import Store  # noqa: E402
from ktclient import Job  # noqa: E402
from ktclient.config import settings as config  # noqa: E402

KTSERVER = [sys.executable, "-c", "from ktclient.cli.ktserver import main; main()"]
LEAST_TOKENS = 500_000
ROUNDS = 3
"""Of the peer and of ours, in turns; medians are compared."""


def main() -> None:
    """Run all steps and print the table."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="ktjob-gpu-") as folder:
        os.environ["KTJOB_HOME"] = str(Path(folder) / "state")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        texts = _documents(Path(folder), Path(asked.document), asked.characters)
        rows: list[Row] = []
        url = asked.url or _up(asked, rows)
        try:
            _warm(url, texts[-1])
            rows += _against_the_peer(url, texts)
            rows += _cut_and_reattached(url, texts[-2])
        finally:
            if not asked.url:
                rows += _down()
    _print(rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--python", help="the server's interpreter")
    parser.add_argument("--model", help="folder of the model")
    parser.add_argument("--context", default="1048576")
    parser.add_argument("--document", required=True)
    parser.add_argument("--characters", type=int, default=0, help="cut it; 0: whole")
    parser.add_argument("flags", nargs="*", help="after --: for the server")
    return parser.parse_args()


def _documents(folder: Path, source: Path, characters: int) -> list[Path]:
    """Some that share no prefix, so that no cache helps, and a short one to warm up."""
    text = source.read_text(encoding="utf-8")
    text = text[:characters] if characters else text
    found = []
    for number in range(2 * ROUNDS + 1):
        path = folder / f"document-{number}.txt"
        path.write_text(f"Copy {number} of {source.name}.\n{text}", encoding="utf-8")
        found.append(path)
    short = folder / "short.txt"
    short.write_text(f"Warm up.\n{text[:60_000]}", encoding="utf-8")
    return [*found, short]


def _up(asked: argparse.Namespace, rows: list[Row]) -> str:
    began = time.monotonic()
    command = [*KTSERVER, "up", "--profile", "generic-sglang", "--python", asked.python]
    command += ["--model", asked.model, "--context", asked.context, "--", *asked.flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rows.append(("ktserver up, until READY and warm", f"{time.monotonic() - began:.0f} s", ""))
    return done.stdout.split()[0]


def _warm(url: str, short: Path) -> None:
    """Both paths once, so that neither pays for kernels or a first import in what is measured."""
    turns.plain(url, short)
    turns.submit(url, short).to_end()


def _against_the_peer(url: str, texts: list[Path]) -> list[Row]:
    """In turns, each on a text of its own and an empty cache."""
    peer: list[tuple[float, float]] = []
    ours: list[tuple[Followed, float]] = []
    for number in range(2 * ROUNDS):
        _flush(url)
        if number % 2:
            peer.append(turns.plain(url, texts[number]))
        else:
            began = time.time()
            followed = turns.submit(url, texts[number]).to_end()
            ours.append((followed, followed.phase_at("decode") - began))
    rows = [
        turns.forecasts(followed, f"ktjob {number}", LEAST_TOKENS)
        for number, (followed, _) in enumerate(ours, 1)
    ]
    first = [followed.first_token for followed, _ in ours]
    rows.append(turns.ratio("first token, from the call", [one for one, _ in peer], first))
    whole = [seconds for _, seconds in ours]
    rows.append(turns.ratio("first token, from the command", [one for _, one in peer], whole))
    return rows


def _cut_and_reattached(url: str, text: Path) -> list[Row]:
    """The session that submitted and waits, and the runner, die at 40 %; the request does not."""
    _flush(url)
    before = _prompt_tokens(url)
    command = [*KTJOB, "submit", str(text), "--summarize", "--server", url, "--wait"]
    command += ["--max-tokens", str(MAX_TOKENS)]
    known = _stored()
    session = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    followed = Followed(_newest(known))
    followed.until(0.4)
    os.killpg(session.pid, signal.SIGKILL)
    session.wait()
    runner = identity.holder(config.load().state.runner_lock)
    if runner is not None:
        os.kill(runner.pid, signal.SIGKILL)
    answer = subprocess.run([*KTJOB, "wait", followed.job.id], stdout=subprocess.PIPE, check=False)
    end = followed.to_end().end
    assert end is not None
    asked = (_prompt_tokens(url) - before) / int(str(end.figures["prompt_tokens"]))
    rows = [
        (
            "session and runner killed -9 at 40 %, reattached",
            f"{end.state}, exit {answer.returncode}",
            f"attempts {end.attempt}; prompts that the server read: {asked:.2f}",
        )
    ]
    again = followed.job.ask("Who is mentioned first?")
    second = Followed(again).to_end()
    assert second.end is not None
    cached = second.end.figures.get("cached_tokens")
    ratio = second.first_token / followed.first_token
    rows.append(
        (
            "second question on the same document",
            f"{second.first_token:.2f} s",
            f"{ratio:.3f} of the first ({followed.first_token:.2f} s); cached tokens {cached}",
        )
    )
    return rows


def _newest(known: set[str], seconds: float = 60.0) -> Job:
    """The job that a command of another session is about to store."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if fresh := _stored() - known:
            return Job(fresh.pop())
        time.sleep(0.1)
    raise SystemExit("nothing was submitted")


def _stored() -> set[str]:
    with Store.open(config.load().state) as store:
        return {job.id for job in store.newest(20)}


def _flush(url: str) -> None:
    """Forget all cached prefixes. The texts differ anyway; this keeps the pool empty."""
    request = urllib.request.Request(f"{url}/flush_cache", method="POST")
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except urllib.error.HTTPError as error:
        print(f"no flush: {error}", file=sys.stderr)


def _prompt_tokens(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    counter = "sglang:prompt_tokens_total{"
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(counter))


def _down() -> list[Row]:
    began = time.monotonic()
    done = subprocess.run([*KTSERVER, "down"], check=False)
    seconds = time.monotonic() - began
    left = f"{seconds:.1f} s; GPU memory still used: {_gpu_memory()}"
    return [("ktserver down", f"exit {done.returncode}", left)]


def _gpu_memory() -> str:
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader"]
    try:
        return subprocess.run(query, stdout=subprocess.PIPE, text=True).stdout.strip()
    except OSError:
        return "unknown, there is no nvidia-smi"


def _print(rows: list[Row]) -> None:
    for what, figure, more in rows:
        print(f"| {what} | {figure} | {more} |")


if __name__ == "__main__":
    main()
