"""KTransformers on real GPUs, planned, started, used, struck and stopped by our commands.

    python tests/gpu/kt.py --python SERVER_PYTHON --model DIR --document FILE \
        [--gpus N] [--set NAME=VALUE] [--without=--FLAG] [--steps LIST] [-- FLAGS]

plans with a profile (the guide's by default) and shows the plan, runs the doctor, starts the server
from the plan's file, asks with a plain openai client and with ktjob in turns, sends two jobs
together, cancels one in prefill and sends the next, kills a worker, the server and one of its ranks
in prefill, explains the log, stops the server, and prints a table. `--steps starts` makes starts
that must fail for lack of GPU memory, and explains them. With --home it keeps its state there, so
that `--steps` can be spread over several calls. JSON lines are written to $OUT, or to that folder.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "gpu")]

import kt_starts as failing  # noqa: E402
from deployment import Deployment  # noqa: E402
from evidence import Evidence  # noqa: E402
from kt_jobs import Jobs  # noqa: E402

BEFORE = ("plan", "doctor", "up")
STEPS = (
    *BEFORE,
    "warm",
    "turns",
    "pair",
    "cancel",
    "worker",
    "server",
    "rank",
    "memory",
    "explain",
)
"""In this order; `down` is the last one, and runs in any case where it is asked for."""
ALONE = "starts"
"""A step for which no server may run on its GPU."""


def main() -> None:
    """Run the steps and print the table."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="ktjob-kt-") as temporary:
        home = Path(asked.home or temporary)
        home.mkdir(parents=True, exist_ok=True)
        os.environ["KTJOB_HOME"] = str(home / "state")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        evidence = Evidence(Path(os.environ.get("OUT", home)))
        server = Deployment(
            asked.name, home, _options(asked), asked.flags, dict(asked.set), asked.without
        )
        try:
            _run(asked, server, home, evidence)
        finally:
            if "down" in asked.steps:
                evidence.step("down", lambda: server.down(evidence))
            evidence.table()


def _run(asked: argparse.Namespace, server: Deployment, home: Path, evidence: Evidence) -> None:
    if ALONE in asked.steps:
        failing.run(server, asked.python, evidence)
    steps: dict[str, Callable[[], None]] = {
        name: functools.partial(getattr(server, name), evidence)
        for name in (*BEFORE, "memory", "explain")
    }
    text = Path(asked.document).read_text(encoding="utf-8")[: asked.characters]
    jobs = Jobs(server, home, text, asked.rounds, evidence)
    steps |= {name: getattr(jobs, name) for name in STEPS if name not in steps}
    for name in [one for one in STEPS if one in asked.steps]:
        if not evidence.step(name, steps[name]) and name in ("plan", "up"):
            return


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the server's interpreter")
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--profile", default="deepseek-v4-flash-4x5090")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--context", help="the profile's by default")
    parser.add_argument("--port")
    parser.add_argument("--document", required=True)
    parser.add_argument("--characters", type=int, default=None, help="of it; all by default")
    parser.add_argument("--rounds", type=int, default=3, help="of the peer and of ours")
    parser.add_argument("--name", default="kt")
    parser.add_argument("--home", help="folder for the state, kept; a new one by default")
    parser.add_argument("--set", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--without", action="append", default=[], metavar="FLAG")
    parser.add_argument("--steps", type=_steps, default=[*STEPS, "down"])
    parser.add_argument("flags", nargs="*", help="after --: for the server")
    return parser.parse_args()


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _steps(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - {*STEPS, ALONE, "down"}:
        raise argparse.ArgumentTypeError(f"no step {', '.join(unknown)}")
    return names


def _options(asked: argparse.Namespace) -> list[str]:
    found = ["--profile", asked.profile, "--python", asked.python, "--model", asked.model]
    found += ["--tensor-parallel-size", str(asked.gpus)]
    for name in ("context", "port"):
        if getattr(asked, name):
            found += [f"--{name}", getattr(asked, name)]
    return found


if __name__ == "__main__":
    print(time.strftime("%Y-%m-%d %H:%M:%S"), flush=True)
    main()
