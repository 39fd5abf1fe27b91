"""What is shipped: the wheel as it is built from this tree."""

from __future__ import annotations

import ast
import re
import zipfile
from pathlib import Path

import pytest

from acceptance.installed import own_wheel

OF_HELP = ("jobs.runner", "jobs.detach")
"""Shown in usage errors; nothing is imported by these strings."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(own_wheel(tmp_path_factory))


def test_it_holds_the_three_packages_their_sql_and_their_types(wheel: zipfile.ZipFile) -> None:
    """And nothing else: `tests` and `examples` are names that others have too."""
    names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in names} == {"jobs", "ktclient", "server_bundle"}
    for needed in (
        "ktclient/_jobs/store/sql/0001_jobs.sql",
        "ktclient/_jobs/store/sql/queries.sql",
        "ktclient/cli/ktjob.py",
    ):
        assert needed in names
    for package in ("ktclient/_jobs", "ktclient", "server_bundle"):
        assert f"{package}/py.typed" in names


def test_every_source_file_of_the_packages_is_in_it(wheel: zipfile.ZipFile) -> None:
    """A package that is not listed would be missing at the user's only."""
    root = Path(__file__).parents[2]
    sources = {
        installed_as(path.relative_to(root).as_posix())
        for package in ("jobs", "ktclient", "server_bundle")
        for path in (root / package).rglob("*")
        if path.suffix in {".json", ".py", ".sql", ".toml", ".typed"}
    }
    assert sources <= set(wheel.namelist())


def installed_as(name: str) -> str:
    """`jobs` is a name that others have too."""
    return f"ktclient/_{name}" if name.startswith("jobs/") else name


def test_no_package_in_it_is_called_jobs(wheel: zipfile.ZipFile) -> None:
    """Only what live processes and units of earlier versions start or import, without an `__init__`
    that would keep another `jobs` from being found; and no module imports it by that
    name, in a statement or in a string."""
    names = [name for name in wheel.namelist() if name.startswith("jobs/")]
    assert {name for name in names if name.count("/") == 1} == {"jobs/detach.py", "jobs/logout.py"}
    assert "jobs/runner/__main__.py" in names
    assert not [name for name in names if name.endswith("__init__.py")]
    assert len(names) == 8
    sources = [name for name in wheel.namelist() if name.endswith(".py")]
    assert len(sources) > 300
    for name in sources:
        for node in ast.walk(ast.parse(wheel.read(name))):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] != "jobs", name
            elif isinstance(node, ast.Import):
                assert all(one.name.split(".")[0] != "jobs" for one in node.names), name
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                is_module = re.fullmatch(r"jobs(\.\w+)+(:\w+)?", node.value)
                assert not is_module or node.value in OF_HELP, f"{name}: {node.value}"


def test_it_brings_the_two_commands_and_the_licence(wheel: zipfile.ZipFile) -> None:
    """`ktjob` and `ktserver`, Apache-2.0."""
    read = {name.split("/")[1]: name for name in wheel.namelist() if ".dist-info/" in name}
    scripts = wheel.read(read["entry_points.txt"]).decode()
    assert "ktjob = ktclient.programs:ktjob" in scripts
    assert "ktserver = ktclient.programs:ktserver" in scripts
    assert "License-Expression: Apache-2.0" in wheel.read(read["METADATA"]).decode()
