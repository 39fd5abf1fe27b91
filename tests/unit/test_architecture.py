"""The map of the code, held to: imports point one way, and each dangerous thing has one door."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("jobs", "server_bundle", "ktclient")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

PROCESS_SIDE_OF_JOBS = {
    "jobs",
    "jobs.system.cgroup",
    "jobs.processes.detach",
    "jobs.processes.identity",
    "jobs.errors",
}
"""What server_bundle may use of jobs: processes and proof of life, never the store."""
VALUES_OF_JOBS = {"jobs.clock", "jobs.model"}
"""Leaf modules of the standard library only; anyone may use them."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, anywhere in it, type checking included."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (
                    inner
                    if (ROOT / Path(*inner.split("."))).with_suffix(".py").exists()
                    else node.module
                )


def users_of(*modules: str) -> set[str]:
    """Our modules that import any of these (or a part of it)."""
    return {
        name_of(path)
        for path in MODULES
        for used in imports_of(path)
        if any(used == module or used.startswith(module + ".") for module in modules)
    }


def callers_of(*calls: str) -> set[str]:
    """Our modules in which `os.fork` and the like is written."""
    return {name_of(path) for path in MODULES if attributes_of(path) & set(calls)}


@functools.cache
def attributes_of(path: Path) -> frozenset[str]:
    """Everything with a dot in it that is written in a file's code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    )


def test_jobs_knows_neither_the_client_nor_the_server() -> None:
    """jobs is reusable on its own."""
    assert not {m for m in users_of("ktclient", "server_bundle") if m.startswith("jobs")}


def test_server_bundle_uses_only_the_process_side_of_jobs() -> None:
    """It does not know the store, and nothing of the client."""
    used = {
        module
        for path in MODULES
        if name_of(path).startswith("server_bundle")
        for module in imports_of(path)
        if module.split(".")[0] in ("jobs", "ktclient")
    }
    assert used <= PROCESS_SIDE_OF_JOBS | VALUES_OF_JOBS


def test_the_command_line_is_imported_by_nothing_below_it() -> None:
    """Rules live below the command line."""
    users = users_of("ktclient.cli")
    assert all(user.startswith("ktclient.cli") or user == "ktclient.__main__" for user in users)


def test_there_is_no_import_cycle() -> None:
    """At run time or in type checking, whichever package."""
    graph = {name_of(path): set(imports_of(path)) for path in MODULES}
    lazy = {("ktclient", "ktclient.api.submit"), ("ktclient", "ktclient.errors")}  # on first use

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above, name])
        for used in graph.get(name, ()):
            if used in graph and used != name and (name, used) not in lazy:
                visit(used, (*above, name))

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize(
    ("modules", "doors"),
    [
        (
            ("sqlite3",),
            {"jobs.store.backup", "jobs.store.database", "jobs.store.schema", "jobs.store.rows"},
        ),
        (("sqlite_utils",), {"jobs.store.schema"}),
        (
            ("httpx2",),
            {
                "ktclient.request.connection",
                "ktclient.request.error_mapping",
                "ktclient.request.connection_errors",
            },
        ),
        (
            ("openai",),
            {
                "ktclient.request.stream",
                "ktclient.request.error_mapping",
                "ktclient.worker.preload",
            },
        ),
        (("xllamacpp",), {"server_bundle.embedded.process"}),
        (("keyring",), {"ktclient.config.keys"}),
        (("tomlkit",), {"ktclient.config.edit"}),
        (("tiktoken",), {"ktclient.tokens.counter"}),
        (("tokenizers",), {"ktclient.tokens.tokenizers_library"}),
        (("rich",), {"ktclient.cli.render.progress_line"}),
        (("pypdfium2",), {"ktclient.documents.formats.pdf"}),
        (("mammoth",), {"ktclient.documents.formats.docx"}),
        (("pptx",), {"ktclient.documents.formats.pptx"}),
        (("markdownify",), {"ktclient.documents.formats.html"}),
        (("jsonschema", "referencing"), {"ktclient.prompts.answer_schema"}),
        (
            ("subprocess",),
            {
                "jobs.processes.detach",
                "jobs.system.user_manager",
                "ktclient.remote.ssh",
                "ktclient.documents.formats.child_process",
                "ktclient.api.remote_job",
                "ktclient.notify.command",
                "server_bundle.launch.child",
                "server_bundle.doctor.facts.commands",
                "server_bundle.embedded.weights",
            },
        ),
        (
            ("urllib.request",),
            {"server_bundle.launch.http_probe", "ktclient.request.connection_errors"},
        ),
        (("ctypes",), {"server_bundle.launch.child"}),
        (("fcntl",), {"jobs.processes.identity"}),
        (("apprise",), {"ktclient.notify.channels"}),
    ],
)
def test_each_foreign_thing_has_its_doors(modules: tuple[str, ...], doors: set[str]) -> None:
    """Named places only; the server dialects may name httpx2's types, and nothing else."""
    users = {user for user in users_of(*modules) if not user.startswith("ktclient.servers.")}
    assert users == doors


@pytest.mark.parametrize(
    ("calls", "doors"),
    [
        (("os.fork", "os.setsid", "os.execvp"), {"jobs.processes.detach"}),
        (
            ("os.kill", "os.killpg"),
            {
                "jobs.runner.notifiers",
                "server_bundle.embedded",
                "server_bundle.launch.process_tree",
            },
        ),
        (
            ("os.environ", "os.getenv"),
            {
                "jobs.processes.detach",
                "ktclient.cli.render.screen",
                "ktclient.config",
                "server_bundle.launch.supervisor",
                "server_bundle.embedded.weights",
            },
        ),
        (("time.time",), set()),
    ],
)
def test_each_dangerous_call_has_its_doors(calls: tuple[str, ...], doors: set[str]) -> None:
    """Forks, signals, the environment, and no wall clock for durations."""
    assert callers_of(*calls) == doors


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_small_and_explained(path: Path) -> None:
    """A docstring, at most 400 lines, bodies of at most 60, and a name that says something."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert text.count("\n") <= 400
    assert path.stem not in {"utils", "helpers", "manager", "base", "common", "misc"}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.body[-1].end_lineno is not None
            assert node.body[-1].end_lineno - node.body[0].lineno < 60, node.name
