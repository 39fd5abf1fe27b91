"""The steps of a start, tried in real processes: modules that fail, hang, crash, print, fork."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from server_bundle.doctor.facts import import_steps
from server_bundle.doctor.facts.import_steps import Limits, Outcome, Step

MODULES = {
    "good": "",
    "broken": "import good\nraise ImportError('libz3.so.4: cannot open shared object file')",
    "lacking": "import not_there_at_all",
    "leaves": "raise SystemExit(3)",
    "loud": "print('x' * 5_000_000)\nimport sys\nsys.stderr.write('key sk-' + 'a' * 48 + chr(10))",
    "reads": "import sys\nassert sys.stdin.read() == ''",
    "forked": "import os\nos.fork()",
    "secretive": "import os\nassert not any('KTJOB_API_KEY' in one for one in os.environ)",
    "crash": """
import os, signal
print("last words", flush=True)
os.kill(os.getpid(), signal.SIGILL)
""",
    "hang": """
import os, subprocess, sys, time
code = "import time; time.sleep(3600)"
child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
open(os.environ["PIDS"], "a").write(f"{child.pid} {os.getpid()} ")
time.sleep(3600)
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "namespace").mkdir()
    return tmp_path


def run(folder: Path, *names: str, **limits: float) -> dict[str, Outcome]:
    steps = [Step(name, "import", name) for name in names]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PIDS": str(folder / "pids")}
    environment["KTJOB_API_KEY"] = "secret"
    bounds = Limits(**{"step": 60.0, "total": 120.0, **limits})  # type: ignore[arg-type]
    found = import_steps.run(sys.executable, steps, environment, bounds, lambda step, seconds: None)
    assert [one.step for one in found] == steps
    return {one.step.name: one for one in found}


def test_each_failure_is_its_own_and_the_rest_goes_on(folder: Path) -> None:
    names = ("good", "broken", "lacking", "leaves", "loud", "reads", "forked", "namespace")
    found = run(folder, *names, "secretive", "crash", "good")
    good = {name for name, one in found.items() if one.is_good}
    assert good == {"good", "loud", "reads", "forked", "secretive"}
    assert found["broken"].lines[-1].startswith("ImportError: libz3.so.4: cannot open")
    assert any("broken.py" in line for line in found["broken"].lines)
    assert found["lacking"].absent == "not_there_at_all"
    assert found["leaves"].lines[-1] == "SystemExit: 3"
    assert "(unknown location)" in found["namespace"].lines[-1]
    assert found["crash"].died == -4
    assert found["crash"].lines[-1] == "last words"


@pytest.mark.promise
def test_what_hangs_is_killed_with_all_that_it_started(folder: Path) -> None:
    """Also a process in a session of its own, which no signal to a group reaches."""
    began = time.monotonic()
    found = run(folder, "hang", "good", step=1.5)
    assert found["hang"].is_late and found["good"].is_good
    assert time.monotonic() - began < 60
    pids = [int(word) for word in (folder / "pids").read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        state = Path(f"/proc/{pid}/stat")
        assert not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] in "ZX"


def test_after_many_ends_the_rest_is_not_tried(folder: Path) -> None:
    for number in range(3):
        (folder / f"crash{number}.py").write_text(MODULES["crash"])
    found = run(folder, "crash0", "crash1", "crash2", "good", deaths=2)
    assert [one.died for one in found.values()] == [-4, -4, None, None]
    assert found["crash2"].is_skipped and found["good"].is_skipped


def test_a_program_that_is_no_python(folder: Path) -> None:
    steps = [Step("x", "import", "x")]
    limits = Limits(5.0, 10.0)
    with pytest.raises(OSError):
        import_steps.run(str(folder / "none"), steps, {}, limits, lambda step, seconds: None)
    (one,) = import_steps.run("/bin/false", steps, {}, limits, lambda step, seconds: None)
    assert one.died == 1
