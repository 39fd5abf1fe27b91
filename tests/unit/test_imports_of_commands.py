"""What a command imports: itself, and none of what only other commands need.

tests/bench/run.py measures what that saves; this holds however busy the machine is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.model import Capacity, NewJob, Outcome
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.cli.command_table import KTJOB, KTSERVER

MODULES = {
    program: {name: entry.where.partition(":")[0] for name, entry in table.items()}
    for program, table in (("ktjob", KTJOB), ("ktserver", KTSERVER))
}
COMMANDS = {module for modules in MODULES.values() for module in modules.values()}
ROOMS = {
    "ktclient.batch",
    "ktclient.documents",
    "ktclient.planning",
    "ktclient.prompts",
    "ktclient.remote",
    "ktclient.request",
    "ktclient.servers",
    "ktclient.splitting",
    "ktclient.submission",
    "ktclient.tokens",
    "ktclient.worker",
}
FOREIGN = {"openai", "httpx2", "rich", "tiktoken", "jsonschema", "sqlite_utils", "tomlkit"}
STANDARD = {"asyncio", "subprocess", "argparse", "shutil", "tempfile", "logging", "ssl"}
NEVER = ROOMS | FOREIGN | STANDARD | {"ktclient.api.submit", "jobs.runner.loop"}
"""What none of the quick commands may load."""
OF_CLICKS_HELP = {"shutil"}
"""click asks it for the width of the terminal."""
STORE = {
    "jobs.store.store",
    "jobs.store.database",
    "sqlite3",
    "ktclient.records.access",
    "ktclient.records.snapshot",
}

SPEC = (
    '{"version": 1, "task": {"kind": "summarize", "text": ""}, "server": "embedded", '
    '"model": null, "max_tokens": 1, "timeout": 1.0}'
)
RUN = """
import json, sys
before = set(sys.modules)
sys.argv = {argv!r}
from ktclient.cli.{program} import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules.keys() - before)), file=sys.stderr)
"""


def imported(*argv: str, **environ: str) -> set[str]:
    """The modules that a command line of ktjob or ktserver loads in a fresh interpreter."""
    code = RUN.format(argv=list(argv), program=argv[0])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environ},
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def completing(line: str) -> set[str]:
    """The same for the Tab key, pressed at the end of a line."""
    words = line.split(" ")
    program = words[0]
    environ = {
        f"_{program.upper()}_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    return imported(program, **environ)


@pytest.fixture
def ended(state: StateDir) -> str:
    """A store with a job that succeeded: its id."""
    with Store.open(state) as store:
        new = NewJob(pool="embedded", spec=SPEC, document=b"text", title="a.txt")
        job = store.submit(new, Capacity())
        store.claim(job.id, identity.mine())
        store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
    return job.id


@pytest.mark.parametrize("program", ["ktjob", "ktserver"])
@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_help_and_version_import_no_command(program: str, option: str) -> None:
    """They read the table of commands; no store, no configuration."""
    loaded = imported(program, option)
    never = NEVER - OF_CLICKS_HELP
    assert loaded & (never | COMMANDS | STORE | {"ktclient.config"}) == set()
    assert "ktclient.cli.help" in loaded


@pytest.mark.parametrize("line", ["ktjob ", "ktjob st", "ktjob --ho", "ktserver u"])
def test_the_completion_of_names_imports_no_command(line: str) -> None:
    """Nor what offers live ids."""
    assert completing(line) & (NEVER | COMMANDS | STORE | {"ktclient.config"}) == set()


def test_the_completion_of_options_imports_that_command_alone() -> None:
    """And not what it is made with."""
    for line, own in (
        ("ktjob status --j", MODULES["ktjob"]["status"]),
        ("ktjob cancel --j", MODULES["ktjob"]["cancel"]),
        ("ktjob schema --", MODULES["ktjob"]["schema"]),
        ("ktserver explain --l", MODULES["ktserver"]["explain"]),
    ):
        loaded = completing(line)
        assert loaded & (NEVER | {"jobs.store.store", "sqlite3"}) == set()
        assert loaded & COMMANDS == {own}


def test_status_without_a_store_opens_none(tmp_path: Path) -> None:
    """Looking creates nothing, and needs nothing to say so."""
    loaded = imported("ktjob", "status", KTJOB_HOME=str(tmp_path / "none"))
    assert loaded & (NEVER | STORE) == set()
    assert loaded & COMMANDS == {MODULES["ktjob"]["status"]}


def test_status_of_ended_jobs_imports_the_store_and_the_table(ended: str) -> None:
    """No other command, and nothing that starts a runner."""
    loaded = imported("ktjob", "status")
    starting = {"jobs.processes.detach", "jobs.upkeep", "hashlib", "secrets"}
    assert loaded & (NEVER | starting) == set()
    assert loaded & COMMANDS == {MODULES["ktjob"]["status"]}
    assert loaded >= STORE


def test_wait_for_an_ended_job_imports_neither_submitting_nor_asyncio(ended: str) -> None:
    """It is what scripts call in a loop."""
    loaded = imported("ktjob", "wait", ended)
    assert loaded & NEVER == set()
    assert loaded & COMMANDS == {MODULES["ktjob"]["wait"]}
    assert loaded >= STORE
