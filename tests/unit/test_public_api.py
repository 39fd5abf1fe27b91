"""What people import: names, types and errors, and what it costs."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import ktclient
from jobs import errors
from ktclient import errors as ktclient_errors

pytestmark = pytest.mark.each_python

HEAVY = ("openai", "httpx2", "rich", "sqlite_utils", "click")


def loaded_after(code: str, *names: str) -> set[str]:
    """Which of these modules a fresh Python has loaded after this code."""
    report = f"\nimport json, sys\nprint(json.dumps([n for n in {names!r} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("package", ["ktclient", "server_bundle", "jobs"])
def test_every_module_can_be_imported(package: str) -> None:
    """Also on the oldest Python, where a name of the standard library may be missing."""
    folder = importlib.import_module(package).__path__
    names = [found.name for found in pkgutil.walk_packages(folder, f"{package}.")]
    assert len(names) > 10
    for name in names:
        if not name.endswith(".__main__"):
            importlib.import_module(name)


def test_every_public_name_is_listed_and_resolves() -> None:
    """`dir`, `__all__` and what can be used are the same."""
    assert dir(ktclient) == sorted(ktclient.__all__)
    for name in ktclient.__all__:
        assert getattr(ktclient, name) is not None


def test_a_star_import_brings_the_public_names() -> None:
    """Although they are loaded late."""
    names: dict[str, object] = {}
    exec("from ktclient import *", names)
    assert set(ktclient.__all__) <= set(names)


def test_the_public_names_are_the_documented_ones() -> None:
    """What the README imports."""
    from ktclient import Job, submit_long
    from ktclient.api.job import Job as JobAtHome

    assert Job is JobAtHome
    assert list(inspect.signature(submit_long).parameters)[:4] == [
        "document",
        "summarize",
        "ask",
        "prompt",
    ]
    for method in ("status", "wait", "result", "cancel", "stream"):
        assert callable(getattr(Job, method))


def test_an_unknown_name_is_told_as_any_module_does() -> None:
    """hasattr and typing mistakes behave."""
    assert not hasattr(ktclient, "submit_short")
    with pytest.raises(AttributeError, match="module 'ktclient' has no attribute 'submit_short'"):
        _ = ktclient.submit_short  # type: ignore[attr-defined]


def test_the_version_is_the_packages() -> None:
    """`ktjob --version` and pip agree."""
    assert ktclient.__version__ == importlib.metadata.version("ktjob")


def test_importing_the_package_costs_nothing() -> None:
    """Names are loaded when they are first used."""
    ours = ("jobs", "ktclient.api.submit", "ktclient.errors", "server_bundle")
    assert loaded_after("import ktclient", *HEAVY, *ours) == set()


@pytest.mark.parametrize("package", ["jobs", "ktclient", "server_bundle"])
def test_the_packages_are_typed(package: str) -> None:
    """py.typed is there for type checkers of others."""
    assert importlib.resources.files(package).joinpath("py.typed").is_file()


def below(kind: type[errors.KtjobError]) -> set[type[errors.KtjobError]]:
    return {kind}.union(*(below(child) for child in kind.__subclasses__()))


def test_all_errors_are_in_one_module_and_in_its_drawing() -> None:
    """Who catches an error finds it in `ktclient.errors`, and in the tree what to do."""
    assert ktclient_errors.__doc__ is not None
    for kind in below(errors.KtjobError):
        if kind.__module__.split(".")[0] in ("jobs", "server_bundle", "ktclient"):
            assert getattr(ktclient_errors, kind.__name__) is kind
            assert kind.__name__ in ktclient_errors.__all__
            assert kind.__name__ in ktclient_errors.__doc__
    for name in ktclient_errors.__all__:
        assert issubclass(getattr(ktclient_errors, name), errors.KtjobError)


def test_an_unsuccessful_job_keeps_what_had_arrived() -> None:
    """The partial text is with the error, not in its message."""
    error = ktclient_errors.JobLost("job k7 lost: the worker died", "once upon")
    assert (str(error), error.partial_text) == ("job k7 lost: the worker died", "once upon")
    assert ktclient_errors.JobFailed("message").partial_text == ""


def test_looking_at_an_empty_home_is_quick_and_changes_nothing(tmp_path: Path) -> None:
    """`ktjob status` loads no HTTP stack, no terminal library and no database library."""
    code = (
        "import sys\n"
        "from ktclient.cli.ktjob import main\n"
        "sys.argv = ['ktjob', 'status']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as ended:\n"
        "    assert ended.code == 0, ended.code\n"
    )
    assert loaded_after(code, "openai", "httpx2", "rich", "sqlite_utils") == set()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("module", ["ktclient.cli.ktjob", "ktclient.cli.ktserver"])
def test_help_loads_no_stack(module: str) -> None:
    """Completion and --help are immediate."""
    heavy = ("openai", "httpx2", "rich", "sqlite_utils")
    assert loaded_after(f"import {module}", *heavy) == set()
