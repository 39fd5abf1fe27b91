"""The documentation says what the program does: commands, options, exit codes, settings, links."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from jobs import errors
from ktclient import errors as ktclient_errors
from ktclient.cli import exit_codes
from ktclient.cli.ktjob import ktjob
from ktclient.cli.ktserver import ktserver
from ktclient.config import settings as config
from ktclient.worker import retry
from server_bundle import errors as server_bundle_errors

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs/reference.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


NEW_NAMES = {"ktjob at-your-service": "ktjob serve-remote"}
"""Name of the command -> the alias that the pages use."""


def commands() -> dict[str, click.Command]:
    names = {
        f"{group.name} {name}": command
        for group in (ktjob, ktserver)
        for name, command in group.commands.items()
    }
    return {NEW_NAMES.get(name, name): command for name, command in names.items()}


def test_every_command_is_in_the_reference_and_no_other() -> None:
    """ktserver's three share their lines with `|` nowhere: each has its own."""
    told = set(re.findall(r"^\| `(kt(?:job|server) [a-z-]+)", REFERENCE, re.M))
    assert told == set(commands())


def test_every_option_is_in_the_reference() -> None:
    """By its long name."""
    for name, command in commands().items():
        for option in command.params:
            if isinstance(option, click.Option):
                assert max(option.opts, key=len) in REFERENCE, f"{name} {option.opts}"


def test_every_option_and_command_has_help() -> None:
    """`--help` is documentation too."""
    for name, command in commands().items():
        assert command.help, name
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name} {option.opts}"


def test_the_exit_codes_are_the_same_in_help_and_reference() -> None:
    """One table for each program."""
    told = re.findall(r"^\| (\d+) \| ([^|]+?) \|$", REFERENCE, re.M)
    tables = exit_codes.TABLE + exit_codes.SERVER_TABLE
    helped = re.findall(r"^ *(\d+)  (.+)$", tables, re.M)
    assert [(code, words.split(";")[0]) for code, words in told] == helped


def test_every_setting_is_in_the_reference() -> None:
    """Each KTJOB_ variable that the code reads as a setting, and no other."""
    settings = [*Path(config.__file__).parent.glob("*.py"), ROOT / "jobs/processes/ownership.py"]
    source = "".join(path.read_text() for path in settings)
    read = set(re.findall(r'"(KTJOB_[A-Z_]+)"', source))
    assert set(re.findall(r"`(KTJOB_[A-Z_]+)`", REFERENCE)) == read


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Files named in a page exist."""
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_backticks_exist(page: Path) -> None:
    """`jobs/store/store.py` and the like."""
    for target in re.findall(
        r"`((?:jobs|ktclient|server_bundle|tests)/[\w./]+)`", page.read_text()
    ):
        assert (ROOT / target).exists(), target


def test_every_cause_of_a_failed_job_is_in_the_reference_and_no_other() -> None:
    """With whether it is tried again."""

    def below(kind: type[errors.KtjobError]) -> list[type[errors.KtjobError]]:
        return [kind, *(one for child in kind.__subclasses__() for one in below(child))]

    table = REFERENCE.partition("## Causes")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    told = {name: row[3].strip() for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    of_work = (
        server_bundle_errors.NoServer,
        ktclient_errors.RequestFailed,
        ktclient_errors.BadInput,
        ktclient_errors.DoesNotFit,
        errors.OutOfMemory,
    )
    kinds = [
        one for kind in of_work for one in below(kind) if one is not ktclient_errors.RequestFailed
    ]
    for kind in kinds:
        again = "resend" if issubclass(kind, ktclient_errors.NEVER_ACCEPTED) else "no"
        again = "resend a day" if issubclass(kind, retry.AWAY) else again
        again = "restart" if issubclass(kind, retry.NOT_STARTED) else again
        again = "new attempt" if kind.may_try_again else again
        assert told.pop(kind.cause) == again, kind.cause
    assert set(told) == {
        "worker_died",
        "cancelled",
        "bug",
        "store_unusable",
        "prerequisite_failed",
        "results_unwritable",
        "part_failed",
        "part_restarted",
    }


def test_no_guarantee_is_without_its_test() -> None:
    """Each row of docs/guarantees.md names tests that exist, by file and, if given, by name."""
    for tests in guarantees().values():
        for path, test in tests:
            assert path.exists(), path
            assert not test or f"def {test}(" in path.read_text(), test


UNIT = ROOT / "tests/unit"
FAST = "promise"
NEEDS_MORE = "(?:netns|mount|login|memcg|browser|real_sglang)"


def test_each_guarantee_has_a_test_in_the_fast_part() -> None:
    """One of its row is a unit test or marked so; but for those whose tests want more than every
    machine has."""
    for row, tests in guarantees().items():
        is_held = any(UNIT in path.parents or _has(FAST, path, test) for path, test in tests)
        assert is_held or all(_has(NEEDS_MORE, *one) for one in tests), row


def _has(marker: str, path: Path, test: str) -> bool:
    """Whether this test, or one of this file or folder, is marked so."""
    files = path.rglob("test_*.py") if path.is_dir() else (path,)
    of_file = rf"^pytestmark = .*pytest\.mark\.{marker}\b"
    of_test = rf"^@pytest\.mark\.{marker}\n(?:@.+\n|[ )\]].*\n)*(?:async )?def {test or 'test_'}"
    return any(re.search(f"{of_file}|{of_test}", file.read_text(), re.M) for file in files)


def guarantees() -> dict[str, list[tuple[Path, str]]]:
    """Row -> the tests it names: a file or a folder, and a function of it or nothing."""
    rows = re.findall(
        r"^\|(?! promise|---)(.+)\|$", (ROOT / "docs/guarantees.md").read_text(), re.M
    )
    assert len(rows) > 40
    found: dict[str, list[tuple[Path, str]]] = {}
    for row in rows:
        path = ROOT
        for name in re.findall(r"`((?:tests/[\w/.]+)?(?:::\w+)?)`", row.split("|")[-1]):
            file, _, test = name.partition("::")
            path = ROOT / file if file else path
            found.setdefault(row, []).append((path, test))
        assert row in found, row
    return found
