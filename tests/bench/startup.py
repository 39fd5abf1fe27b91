"""CPU time of whole commands, against `python -c pass` and other programs' clients:
`python tests/bench/startup.py`, and a part of run.py.

User and system time of the process are counted, which a busy machine changes little, and not the
time on the clock. All commands are run in turns; medians are compared. ktjob is measured from a
virtual environment of its own, copied and compiled as pip installs it: the import hook of an
editable install costs as much as all of `python -c pass`, in both sides of a ratio.
"""

from __future__ import annotations

import compileall
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import venv
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.model import Capacity, NewJob, Outcome
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

ROOT = Path(__file__).parents[2]
ROUNDS = 9
ENDED = 20
"""Jobs that are listed, by ktjob and by its peer."""
_SCRIPT = """\
#!{python}
import re
import sys
from ktclient.cli.ktjob import main
if __name__ == "__main__":
    sys.argv[0] = re.sub(r"(-script\\.pyw|\\.exe)?$", "", sys.argv[0])
    sys.exit(main())
"""
"""What pip writes for a console script."""
_SPEC = (
    '{"version": 1, "task": {"kind": "summarize", "text": ""}, "server": "embedded", '
    '"model": null, "max_tokens": 1, "timeout": 1.0}'
)


@dataclass(frozen=True)
class Command:
    """One that is measured."""

    what: str
    argv: list[str]
    environ: dict[str, str]
    aim: float | None = None
    """At most so many times `python -c pass`; None: a peer, or what it is compared with."""


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory(prefix="ktjob-bench-") as folder:
        print(table(Path(folder)))


def table(tmp: Path) -> str:
    """The commands with their ratios, in Markdown; peers that are not installed are left out."""
    python = _environment(tmp / "venv")
    base = Command("`python -c pass`", [str(python), "-c", "pass"], {})
    peers = [*_task_spooler(tmp), *_llm(tmp)]
    try:
        measured = _medians([base, *peers, *_ours(python.with_name("ktjob"), tmp)])
    finally:
        for peer in peers:
            if peer.argv == ["tsp"]:
                subprocess.run(["tsp", "-K"], env=_with(peer.environ), check=False)
    lines = [
        " | ".join(["| CPU time of", "ms", *(f"to {one.what}" for one in (base, *peers)), "aim |"]),
        "|".join(["|---", "---", "---", *("---" for _ in peers), "---|"]),
    ]
    for one, seconds in measured:
        ratios = [seconds / next(s for o, s in measured if o is peer) for peer in (base, *peers)]
        aim = f"{one.aim:g}" if one.aim else ""
        cells = [one.what, f"{1000 * seconds:.1f}", *(_short(ratio) for ratio in ratios), aim]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _short(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}"


def _ours(ktjob: Path, tmp: Path) -> list[Command]:
    none, empty, full = (StateDir(tmp / name) for name in ("none", "empty", "full"))
    Store.open(empty).close()
    ended = _store_of_ended(full)

    def command(what: str, *argv: str, state: StateDir = none, aim: float = 6) -> Command:
        environ = {"KTJOB_HOME": str(state.root), "KTJOB_CONFIG": str(tmp / "config")}
        return Command(what, [str(ktjob), *argv], environ, aim)

    def tab(line: str) -> Command:
        one = command(f"`{line}` and Tab")
        words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        return replace(one, environ={**one.environ, **words, "_KTJOB_COMPLETE": "bash_complete"})

    return [
        command("`ktjob --version`", "--version"),
        command("`ktjob --help`", "--help", aim=8),
        tab("ktjob st"),
        tab("ktjob status --j"),
        command("`ktjob status` before the first job", "status"),
        command("`ktjob status` of an empty queue", "status", state=empty),
        command(f"`ktjob status` of {ENDED} jobs that ended", "status", state=full),
        command("`ktjob wait` for a job that ended", "wait", ended, state=full, aim=8),
    ]


def _store_of_ended(state: StateDir) -> str:
    """Jobs that succeeded; the id of one."""
    with Store.open(state) as store:
        for number in range(ENDED):
            new = NewJob("embedded", _SPEC, b"text", f"{number}.txt")
            job = store.submit(new, Capacity())
            store.claim(job.id, identity.mine())
            store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
    return job.id


def _environment(folder: Path) -> Path:
    """A virtual environment with a copy of ours, whose dependencies are those of this one. Returns
    its interpreter."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    for package in ("jobs", "ktclient", "server_bundle"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, site / package, ignore=ignored)
        compileall.compile_dir(site / package, quiet=1)
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix != ".pth" and "ktjob" not in path.name and not (site / path.name).exists():
            (site / path.name).symlink_to(path)
    script = folder / "bin" / "ktjob"
    script.write_text(_SCRIPT.format(python=python))
    script.chmod(0o755)
    return python


def _task_spooler(tmp: Path) -> list[Command]:
    """`tsp`, which lists its jobs; a client in C of a daemon in C."""
    if shutil.which("tsp") is None:
        print("no tsp here (Debian: task-spooler)", file=sys.stderr)
        return []
    peer = Command("`tsp`", ["tsp"], {"TS_SOCKET": str(tmp / "socket"), "TMPDIR": str(tmp)})
    for _ in range(ENDED):
        subprocess.run(["tsp", "true"], env=_with(peer.environ), check=True, capture_output=True)
    subprocess.run(["tsp", "-w"], env=_with(peer.environ), check=True)
    return [peer]


def _llm(tmp: Path) -> list[Command]:
    """`llm --version` of PyPI's llm, installed for the occasion."""
    folder = tmp / "llm"
    venv.create(folder, with_pip=True, symlinks=True)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "llm"]
    if subprocess.run(pip, capture_output=True, check=False).returncode:
        print("no llm here: pip could not install it", file=sys.stderr)
        return []
    environ = {"LLM_USER_PATH": str(tmp / "llm-user")}
    return [Command("`llm --version`", [str(folder / "bin" / "llm"), "--version"], environ)]


def _medians(commands: list[Command]) -> list[tuple[Command, float]]:
    for one in commands:
        _cpu_seconds(one)  # what the first run alone does, such as to read files from the disk
    found: list[list[float]] = [[] for _ in commands]
    for _ in range(ROUNDS):
        for one, seconds in zip(commands, found, strict=True):
            seconds.append(_cpu_seconds(one))
    return [(one, statistics.median(some)) for one, some in zip(commands, found, strict=True)]


def _cpu_seconds(command: Command) -> float:
    """User and system time of one run. Raises `AssertionError` where it fails."""
    process = subprocess.Popen(
        command.argv,
        env=_with(command.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime


def _with(environ: dict[str, str]) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**known, **environ}


if __name__ == "__main__":
    main()
