"""Fixtures for all tests, and the word on what was left out.

Every test gets a state directory of its own and an environment without anything of the user's.
What a test starts is stopped by id when it ends.
"""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# Whoever started us may have made us deaf to Ctrl-C (`pytest &` in a script): ours are not to be.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Or each of the hundreds of interpreters that tests start would compile our modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
sys.path.insert(0, str(TESTS))  # for `fake_sglang` and `support`, which are not installed

from acceptance import login_lab, ssh_lab  # noqa: E402 - found through the line above
from conformance import real_vllm, sglang_kt  # noqa: E402
from support import (  # noqa: E402
    browser,
    foreign_programs,
    fuse_disk,
    left_open,
    memory_cgroup,
    processes,
    small_disk,
    unit_checker,
)
from support.patience import HANG_SECONDS  # noqa: E402

from jobs import known_secrets  # noqa: E402
from jobs.processes import identity  # noqa: E402
from jobs.store.state_dir import StateDir  # noqa: E402
from server_bundle.embedded import weights  # noqa: E402

# Examples take longer beside other tests. "few": for what runs a second time, on another Python.
settings.register_profile("ours", deadline=None)
settings.register_profile("few", deadline=None, max_examples=15)
settings.load_profile("ours")

UNIT, ACCEPTANCE = TESTS / "unit", TESTS / "acceptance"
FAST = "promise"
"""The marker of the other tests that `pytest` runs where nobody names any: one of each promise of
docs/guarantees.md, and the whole journey."""
NO_NOVELS = "KTJOB_CORPUS names no folder with the two novels"
NO_INSTALLERS = "KTJOB_REAL_INSTALLERS is not set: uv and pipx fetch 60 MB"
NEEDS: dict[str, Callable[[], str | None]] = {
    "browser": browser.missing,
    "netns": ssh_lab.missing,
    "mount": small_disk.missing,
    "fuse": fuse_disk.missing,
    "login": login_lab.missing,
    "memcg": memory_cgroup.missing,
    "unit_checker": unit_checker.missing,
    "nginx": lambda: None if foreign_programs.nginx() else "there is no nginx",
    "node": lambda: None if foreign_programs.npm() else "there is no npm",
}
"""Marker -> what this machine lacks for it, or None."""
ON_REQUEST: dict[str, Callable[[], str | None]] = {
    "real_sglang": sglang_kt.not_asked_for,
    "real_vllm": real_vllm.not_asked_for,
    "novels": lambda: None if os.environ.get("KTJOB_CORPUS") else NO_NOVELS,
    "installers": lambda: None if os.environ.get("KTJOB_REAL_INSTALLERS") else NO_INSTALLERS,
}
"""Marker -> why nobody asked for it, or None. Not to ask is no lack of the machine."""
LONG = "long"
"""The marker of tests that take as long as those of tests/acceptance."""
ADD = (
    "sudo apt-get install -y openssh-server openssh-client iproute2 systemd bindfs chromium "
    "nginx-light nodejs npm "
    "&& sudo -E $(which pytest) --everything"
)
_open = left_open.Watch()
_fast_only: dict[str, int] = {}
_left_out: dict[str, list[str]] = {}
_not_asked_for: dict[str, list[str]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--everything",
        action="store_true",
        help="run all tests: without it only the fast part, unless tests are named",
    )
    parser.addoption(
        "--leave-nothing-out",
        action="store_true",
        help="fail instead of leaving out tests that this machine cannot run",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.option.everything |= _names_tests(config)
    config.addinivalue_line(
        "markers", f"{LONG}: begun first, so that nobody waits for it at the end"
    )
    config.addinivalue_line("markers", "each_python: may differ from one Python to another")
    config.addinivalue_line("markers", f"{FAST}: in the fast part though it is no unit test")
    config.addinivalue_line("markers", "browser: needs Debian's chromium")
    config.addinivalue_line("markers", "nginx: needs nginx")
    config.addinivalue_line("markers", "node: needs Node.js and npm")
    config.addinivalue_line("markers", "netns: needs root, network namespaces and an sshd")
    config.addinivalue_line("markers", "mount: needs root and a tmpfs that can be mounted")
    config.addinivalue_line("markers", "fuse: needs bindfs and /dev/fuse")
    config.addinivalue_line("markers", "real_sglang: wants a venv named by KTJOB_REAL_SGLANG")
    config.addinivalue_line("markers", "real_vllm: wants a venv named by KTJOB_REAL_VLLM")
    config.addinivalue_line("markers", "novels: wants the two whole novels in KTJOB_CORPUS")
    config.addinivalue_line("markers", "installers: fetches uv and pipx, and installs with them")
    config.addinivalue_line("markers", "login: needs root, cgroup namespaces and systemd")
    config.addinivalue_line("markers", "unit_checker: needs systemd-analyze")
    config.addinivalue_line("markers", "memcg: needs root and a cgroup with a memory limit")


def _names_tests(config: pytest.Config) -> bool:
    is_path_given = config.args_source is pytest.Config.ArgsSource.ARGS
    return bool(is_path_given or config.option.keyword or config.option.markexpr)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.option.everything:
        _keep_the_fast_part(config, items)
    unasked = {marker: why for marker, ask in ON_REQUEST.items() if (why := ask())}
    for item in items:
        for marker in unasked.keys() & item.keywords:
            _not_asked_for.setdefault(unasked[marker], []).append(item.nodeid)
    waived = {name for names in _not_asked_for.values() for name in names}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in waived])
    items[:] = [item for item in items if item.nodeid not in waived]
    lacking = {marker: lack() for marker, lack in NEEDS.items()}
    kept, dropped = [], []
    for item in items:
        reasons = [lack for marker, lack in lacking.items() if lack and marker in item.keywords]
        (dropped if reasons else kept).append(item)
        for reason in reasons:
            _left_out.setdefault(reason, []).append(item.nodeid)
    if dropped and config.getoption("--leave-nothing-out"):
        raise pytest.UsageError(f"this machine cannot run {len(dropped)} tests: {_left_out}")
    items[:] = _spread(kept)
    config.hook.pytest_deselected(items=dropped)


def _keep_the_fast_part(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every unit test, and those that hold one promise each, or the whole journey."""
    others = [item for item in items if not _is_fast(item)]
    _fast_only["not run"] = len(others)
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if _is_fast(item)]


def _is_fast(item: pytest.Item) -> bool:
    return _lies_in(item.path, UNIT) or FAST in item.keywords


@functools.cache
def _lies_in(path: Path, folder: Path) -> bool:
    """Asked for each of thousands of tests, by each worker."""
    return folder in path.parents


def _spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """The long tests first: workers of pytest-xdist get a stretch each, at whose beginning these
    are dealt out; one near the end of all would be waited for alone."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long, short = [], []
    for item in items:
        (long if _is_long(item) else short).append(item)
    dealt = [long[number::workers] for number in range(workers)]
    borders = [len(items) * number // workers for number in range(workers + 1)]
    ordered: list[pytest.Item] = []
    for mine, border in zip(dealt, borders[1:], strict=True):
        room = max(0, border - len(ordered) - len(mine))
        ordered += [*mine, *short[:room]]
        short = short[room:]
    return ordered + short


def _is_long(item: pytest.Item) -> bool:
    return _lies_in(item.path, ACCEPTANCE) or LONG in item.keywords


def pytest_collection_finish() -> None:
    """The thousands of tests stay until the end: no garbage collection is to look at them again,
    in this process or in those that it forks."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
    """What a fixture of a whole module opens is not left open by the test that asked first."""
    if fixturedef.scope == "function":
        return (yield)
    before = left_open.descriptors()
    made = yield
    _open.allow(left_open.new(before))
    return made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    _open.begin()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """What a test leaves open is its own failure, and no other's."""
    done = yield
    if (left := _open.look()) is not None:
        pytest.fail(left, pytrace=False)
    return done


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist has no terminal: it hands its words to the one who has."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["left_out"], told["not_asked_for"] = _left_out, _not_asked_for
        told["fast_only"] = _fast_only


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """All workers collect the same."""
    _left_out.update(node.workeroutput.get("left_out", {}))
    _not_asked_for.update(node.workeroutput.get("not_asked_for", {}))
    _fast_only.update(node.workeroutput.get("fast_only", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason, names in _left_out.items():
        terminalreporter.section("left out")
        terminalreporter.line(f"{len(names)} tests, because {reason}:")
        for name in names:
            terminalreporter.line(f"  {name}")
        terminalreporter.line(f"To run them too: {ADD}")
    for reason, names in _not_asked_for.items():
        terminalreporter.section("not asked for")
        terminalreporter.line(f"{len(names)} tests, because {reason}:")
        for name in names:
            terminalreporter.line(f"  {name}")
    for count in _fast_only.values():
        terminalreporter.section("the fast part only")
        terminalreporter.line(f"{count} more tests were not run. All of them: pytest --everything")


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """The cache with the embedded model's weights, fetched once if need be: the user's own."""
    base = os.environ.get("KTJOB_CACHE")
    cache = Path(base) if base else Path.home() / ".cache" / "ktjob"
    weights.ensure(weights.SMOLLM2, cache, lambda what, done, total: None)
    return cache


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting, proxy or key of the user's reaches a test."""
    for name in list(os.environ):
        if name.startswith(("KTJOB_", "OPENAI_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KTJOB_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KTJOB_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("KTJOB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's process learned hides nothing in another test."""
    monkeypatch.setattr(known_secrets, "_known", {})
    monkeypatch.setattr(known_secrets, "_compiled", {})
    monkeypatch.setattr(known_secrets, "_variables", {"KTJOB_API_KEY"})


@pytest.fixture
def ktjob_home(tmp_path: Path) -> Iterator[Path]:
    """This test's state directory; its runner, workers and server are ended afterwards."""
    state = StateDir(tmp_path / "state")
    yield state.root
    processes.end_all(state)


@pytest.fixture
def state(ktjob_home: Path) -> StateDir:
    """The same as an object, created."""
    return StateDir(ktjob_home).create()


@pytest.fixture
def ktjob_command() -> list[str]:
    """The command line prefix of `ktjob`."""
    return [sys.executable, "-m", "ktclient"]


@pytest.fixture
def cache_env(model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment that lets the embedded model be found without a download; also set here."""
    monkeypatch.setenv("KTJOB_CACHE", str(model_cache))
    return {"KTJOB_CACHE": str(model_cache)}


@pytest.fixture
def report() -> Path:
    """A real English text of about 5,000 tokens."""
    return ROOT / "examples" / "report.txt"


@pytest.fixture
def until() -> Callable[..., object]:
    """Poll for a condition, for events of processes that are not our children."""

    def wait(condition: Callable[[], object], seconds: float = HANG_SECONDS) -> object:
        give_up = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < give_up, f"not within {seconds} s: {condition}"
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture
def kill_runner(state: StateDir) -> Callable[[], int]:
    """`kill -9` for this test's runner. Returns its pid."""

    def kill() -> int:
        runner = identity.holder(state.runner_lock)
        assert runner is not None and identity.is_same_process_alive(runner)
        os.kill(runner.pid, signal.SIGKILL)
        return runner.pid

    return kill
