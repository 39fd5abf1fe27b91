"""The map of the code, held to: imports point one way, and each dangerous thing has one door."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("jobs", "server_bundle", "ktclient")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

LEAVES = {
    "ktclient.errors",
    "ktclient.urls",
    "ktclient.times",
    "ktclient.wording",
    "ktclient._version",
    "ktclient.hidden",
    "ktclient.late_packages",
    "ktclient.programs",
    "jobs.model",
    "jobs.errors",
    "jobs.clock",
    "jobs.durations",
    "jobs.parsing",
    "jobs.quick_dataclass",
    "jobs.known_secrets",
    "jobs.child_environment",
    "jobs.draft",
    "jobs.extras",
    "jobs.named_file",
    "jobs.private_folder",
    "server_bundle.addresses",
    "jobs.program",
    "server_bundle.errors",
    "server_bundle.package_data",
}
"""Values, errors, pure functions, and how a file is written: every room may import them, and they
import no room."""

MAY_IMPORT = {
    # jobs: reusable without the other two packages
    "jobs.system": set(),
    "jobs.processes": {"jobs.system"},
    "jobs.store": {"jobs.processes", "jobs.system"},
    "jobs.upkeep": {"jobs.store", "jobs.processes"},
    "jobs.worker": {"jobs.store", "jobs.processes", "jobs.system"},
    "jobs.runner": {"jobs.worker", "jobs.upkeep", "jobs.store", "jobs.processes", "jobs.system"},
    # server_bundle: sees of jobs only processes and what the system says, never the store
    "server_bundle.plan": {"jobs.system"},
    "server_bundle.logs": set(),
    "server_bundle.launch": {"server_bundle.plan", "server_bundle.logs", "jobs.processes"},
    "server_bundle.doctor": {"server_bundle.plan", "server_bundle.logs", "jobs.system"},
    "server_bundle.embedded": {"server_bundle.launch", "server_bundle.plan", "jobs.processes"},
    "server_bundle.transfers": {"jobs.processes", "jobs.system"},
    "server_bundle.install": {
        *("server_bundle.plan", "server_bundle.doctor", "server_bundle.transfers"),
        *("jobs.processes", "jobs.system"),
    },
    "server_bundle.weights": {
        *("server_bundle.plan", "server_bundle.doctor", "server_bundle.transfers"),
        "jobs.processes",
    },
    # ktclient, from the lowest room up
    "config": {"jobs.store"},
    "documents": {"jobs.processes"},
    "tokens": set(),
    "answers": set(),
    "prompts": {"documents", "config"},
    "request": {"documents"},
    "remote": {"config"},
    "splitting": {"documents", "prompts", "tokens"},
    "records": {
        "answers",
        "config",
        "jobs.store",
        "jobs.worker",
        "jobs.runner",
        "server_bundle.launch",
    },
    "notify": {"config", "records", "jobs.store"},
    "servers": {
        *("request", "config", "documents", "prompts", "tokens", "jobs.store", "jobs.processes"),
        *("server_bundle.plan", "server_bundle.launch", "server_bundle.logs"),
        *("server_bundle.embedded", "jobs.system"),
    },
    "planning": {
        *("config", "documents", "prompts", "servers", "splitting", "records", "tokens"),
        *("jobs.store", "server_bundle.embedded"),
    },
    "submission": {
        *("planning", "records", "request", "config", "documents", "prompts", "servers"),
        *("splitting", "tokens", "jobs.store", "jobs.processes", "server_bundle.embedded"),
    },
    "batch": {
        *("answers", "submission", "planning", "records", "config", "documents", "prompts"),
        *("request", "servers", "tokens", "jobs.store", "jobs.system", "server_bundle.embedded"),
    },
    "exports": {
        *("answers", "batch", "prompts", "records", "splitting", "submission", "tokens"),
        *("jobs.store", "jobs.system", "jobs.upkeep"),
    },
    "worker": {
        *("batch", "submission", "planning", "records", "servers", "request", "splitting"),
        *(
            "answers",
            "prompts",
            "tokens",
            "config",
            "documents",
            "jobs.worker",
            "jobs.store",
            "jobs.system",
        ),
        "server_bundle.embedded",
    },
    "api": {
        *("batch", "submission", "planning", "records", "notify", "config", "documents"),
        *("answers", "exports", "prompts", "remote", "jobs.store", "jobs.runner"),
    },
    "doctor": {
        *("config", "request", "servers", "server_bundle.embedded"),
        *("jobs.store", "jobs.runner", "jobs.processes", "jobs.system", "jobs.upkeep"),
    },
    "cli": {
        *("answers", "api", "batch", "config", "doctor", "documents", "exports", "gateway"),
        "notify",
        "planning",
        "prompts",
        *("records", "remote", "servers", "splitting", "submission"),
        *("jobs.processes", "jobs.runner", "jobs.store", "jobs.system", "jobs.upkeep"),
        *("server_bundle.doctor", "server_bundle.embedded", "server_bundle.launch"),
        *("server_bundle.install", "server_bundle.logs", "server_bundle.plan"),
        *("server_bundle.transfers", "server_bundle.weights"),
    },
    "gateway": {
        *("answers", "batch", "config", "documents", "exports", "planning", "records", "request"),
        *("prompts", "servers", "submission", "tokens"),
        *("jobs.processes", "jobs.store", "jobs.system", "jobs.upkeep"),
    },
    # what has a name that the world outside knows
    "ktclient": {"api"},
    "ktclient.__main__": set(),
    "ktclient.work": {"worker", "notify"},
    "jobs.detach": {"jobs.processes"},
    "jobs.logout": {"jobs.system"},
    "jobs": set(),
    "server_bundle": set(),
    "server_bundle.sglang_entry": set(),
}
"""The rooms, and which other rooms each may import, besides the leaves. Nothing is inherited: a
room that needs something of a room below another one names it."""

COMMAND_ROOMS = ("ktclient.cli.jobs", "ktclient.cli.setup", "ktclient.cli.server")


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
                place = ROOT / Path(*inner.split("."))
                is_module = place.with_suffix(".py").exists() or (place / "__init__.py").exists()
                yield inner if is_module else node.module


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


def room_of(module: str) -> str:
    """A room of ktclient by its own name, others with their package; a leaf by its whole name."""
    parts = module.split(".")
    if module in LEAVES or len(parts) == 1:
        return module
    if not (ROOT / parts[0] / parts[1]).is_dir():
        return module
    return parts[1] if parts[0] == "ktclient" else ".".join(parts[:2])


def rooms_used_by() -> dict[str, set[str]]:
    """Room -> the other rooms that it imports, leaves left out."""
    used: dict[str, set[str]] = {}
    for path in MODULES:
        name = name_of(path)
        mine = used.setdefault(room_of(name), set())
        for module in imports_of(path):
            if module.split(".")[0] in PACKAGES:
                mine.add(room_of(module))
        mine -= {room_of(name), *LEAVES}
    return used


def test_every_room_imports_only_what_the_map_allows() -> None:
    """And the map names no room that is gone, and nothing that no room uses."""
    used = {room: rooms for room, rooms in rooms_used_by().items() if room not in LEAVES}
    assert set(used) == set(MAY_IMPORT)
    for room, rooms in used.items():
        assert rooms - MAY_IMPORT[room] == set(), f"{room} may not import these"
    for room, allowed in MAY_IMPORT.items():
        unused = {one for one in allowed - used[room] if one not in MAY_IMPORT}
        assert not unused, f"{room}: the map names rooms that do not exist"


def test_leaves_import_no_room() -> None:
    """Only other leaves."""
    used = rooms_used_by()
    assert {leaf: used[leaf] for leaf in LEAVES if used.get(leaf)} == {}


def test_the_map_has_no_circle() -> None:
    """Rooms stand above one another."""

    def visit(room: str, above: tuple[str, ...]) -> None:
        assert room not in above, " -> ".join([*above, room])
        for used in MAY_IMPORT[room]:
            visit(used, (*above, room))

    for room in MAY_IMPORT:
        visit(room, ())


def test_no_command_imports_another() -> None:
    """A command imports what its family shares, never a module that holds a command."""
    commands = {
        name_of(path)
        for path in MODULES
        if name_of(path).startswith(COMMAND_ROOMS)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and any("click.command" in ast.unparse(one) for one in node.decorator_list)
    }
    assert len(commands) > 30
    for path in MODULES:
        if name_of(path) in commands:
            assert set(imports_of(path)) & commands == set(), name_of(path)


def test_a_folder_holds_what_a_reader_can_take_in() -> None:
    """At most 16 modules; `cli/jobs` has one for each command."""
    for folder in {path.parent for path in MODULES}:
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        if folder.name != "jobs" or folder.parent.name != "cli":
            assert len(modules) <= 16, folder


def test_each_room_says_what_it_owns() -> None:
    """In the docstring of its `__init__`, which holds no code; `ktclient` alone re-exports, and the
    two doctors run their checks there."""
    with_code = {"ktclient", "ktclient.doctor", "server_bundle.doctor", "jobs.store.sql"}
    for path in MODULES:
        if path.name == "__init__.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert ast.get_docstring(tree), path
            assert len(tree.body) == 1 or name_of(path) in with_code, path


def test_each_unit_test_is_named_as_its_module() -> None:
    """`tests/unit/ktclient/planning/test_fit.py` tests `ktclient/planning/fit.py`, and so does
    `test_fit_verdicts.py` beside it. What tests several rooms lies in `tests/unit` itself."""
    unit = ROOT / "tests" / "unit"
    for path in unit.rglob("test_*.py"):
        place = path.parent.relative_to(unit)
        if place.parts:
            known = {one.stem for one in (ROOT / place).iterdir() if not one.name.startswith("_")}
            words = path.stem.removeprefix("test_").split("_")
            names = {"_".join(words[:length]) for length in range(1, len(words) + 1)}
            assert names & known, path


def test_every_folder_with_modules_is_in_the_wheel() -> None:
    """The package list is written by hand: what is missing there is missing for users."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = set(re.findall(r'"([\w.]+)"', text.partition("packages = [")[2].partition("]")[0]))
    assert listed == {name_of(path) for path in MODULES if path.name == "__init__.py"}


def test_there_is_no_import_cycle() -> None:
    """At run time or in type checking, whichever package."""
    graph = {name_of(path): set(imports_of(path)) for path in MODULES}
    lazy = {
        ("ktclient", name) for name in ("ktclient.api.submit", "ktclient.errors")
    }  # on first use

    harmless: set[str] = set()  # seen whole: no cycle goes through them

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above, name])
        if name in harmless:
            return
        for used in graph.get(name, ()):
            if used in graph and used != name and (name, used) not in lazy:
                visit(used, (*above, name))
        harmless.add(name)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize(
    ("modules", "doors"),
    [
        (
            ("sqlite3",),
            {
                "jobs.store.database",
                "jobs.store.files.backup",
                "jobs.store.files.opening",
                "jobs.store.files.schema",
                "jobs.store.http.files",
                "jobs.store.http.keys",
                "jobs.store.http.requests",
                "jobs.store.rows",
            },
        ),
        (("sqlite_utils",), {"jobs.store.files.schema"}),
        (
            ("httpx2",),
            {
                "ktclient.request.connection",
                "ktclient.request.short_client",
                "ktclient.request.response_body",
                "ktclient.request.bounds",
                "ktclient.request.error_mapping",
                "ktclient.request.connection_errors",
                "server_bundle.weights.hubs.huggingface",
            },
        ),
        (("huggingface_hub",), {"server_bundle.weights.hubs.huggingface"}),
        (("modelscope_hub",), {"server_bundle.weights.hubs.modelscope"}),
        (
            ("openai",),
            {
                "ktclient.request.stream",
                "ktclient.request.error_mapping",
            },
        ),
        (
            ("xllamacpp",),
            {
                "server_bundle.embedded.parameters",
                "server_bundle.embedded.process",
                "server_bundle.embedded.gguf_process",
            },
        ),
        (("keyring",), {"ktclient.config.keys"}),
        (("tomlkit",), {"ktclient.config.edit"}),
        (("tiktoken",), {"ktclient.tokens.counter"}),
        (("tokenizers",), {"ktclient.tokens.tokenizers_library"}),
        (("rich",), {"ktclient.cli.render.progress_line"}),
        (
            ("pypdfium2",),
            {
                "ktclient.documents.formats.pdf",
                "ktclient.documents.formats.pdfium.fields",
                "ktclient.documents.formats.pdfium.raised",
            },
        ),
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
                "server_bundle.doctor.facts.import_steps",
                "server_bundle.doctor.inside.imports",
                "server_bundle.embedded.weights",
                "server_bundle.install.installer",
                "server_bundle.install.interpreters",
                "server_bundle.plan.memory.gpus",
            },
        ),
        (
            ("urllib.request",),
            {
                "server_bundle.install.http",
                "server_bundle.launch.http_probe",
                "ktclient.request.connection_errors",
            },
        ),
        (
            ("ctypes",),
            {
                "jobs.system.heap",
                "jobs.processes.parent_death",
                "ktclient.documents.formats.pdfium.fields",
                "ktclient.documents.formats.pdfium.raised",
                "server_bundle.launch.child",
            },
        ),
        (("fcntl",), {"jobs.processes.file_users", "jobs.processes.identity"}),
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
                "jobs.worker.bounded_call",
                "jobs.worker.overdue",
                "ktclient.gateway.service.stop",
                "server_bundle.doctor.facts.import_steps",
                "server_bundle.embedded.server",
                "server_bundle.launch.process_tree",
                "server_bundle.transfers.run",
            },
        ),
        (
            ("os.environ", "os.getenv"),
            {
                "jobs.child_environment",
                "jobs.processes.detach",
                "jobs.processes.ownership",
                "ktclient.cli.render.terminal",
                "ktclient.config.settings",
                "server_bundle.doctor.inside.imports",  # runs in the server's Python, without ours
            },
        ),
        (("time.time",), set()),
        # Python 3.10 knows no "Z".
        (("datetime.fromisoformat",), {"jobs.clock", "ktclient.times"}),
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
