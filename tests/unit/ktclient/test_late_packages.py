"""A package whose body waits: openai's types for what is no chat, and a small one."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ktclient import late_packages

NAME = "ktjob_test_later"
IN_A_RUNNER = """
import json, sys
from ktclient.worker import preload
preload.preload()
loaded = [name for name in sys.modules if name.startswith("openai.types.")]
import openai
from openai.types import Batch
from openai.types.responses import Response
assert openai.types.responses.Response is Response and openai.types.Batch is Batch
later = [name for name in sys.modules if name.startswith("openai.types.")]
print(json.dumps([loaded, later]))
"""


def test_a_whole_request_loads_no_other_api_and_whoever_asks_gets_it() -> None:
    """In a process of its own: in this one, tests have asked."""
    command = [sys.executable, "-c", IN_A_RUNNER]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded, later = json.loads(done.stdout)
    assert "openai.types.chat.chat_completion_chunk" in loaded
    assert not {"openai.types.batch", "openai.types.responses.response"} & set(loaded)
    assert {"openai.types.batch", "openai.types.responses.response"} < set(later)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the small one."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "part.py").write_text("VALUE = 1\n")
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def imported(name: str = NAME) -> ModuleType:
    with late_packages.late({NAME}):
        return importlib.import_module(name)


def test_the_body_runs_once_however_many_threads_ask(package: Path) -> None:
    """And all of them wait for its end."""
    body = "import time\nBEGUN.append(1)\ntime.sleep(0.05)\nfrom .part import VALUE as VALUE\n"
    (package / "__init__.py").write_text(body)
    part = imported(f"{NAME}.part")
    assert part.VALUE == 1
    module = sys.modules[NAME]
    begun: list[int] = []
    module.__dict__["BEGUN"] = begun
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(module.VALUE)) for _ in range(4)]
    assert begun == []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (begun, found) == ([1], [1] * 4)
    with pytest.raises(AttributeError, match=f"'{NAME}' has no attribute 'nothing'"):
        _ = module.nothing
    assert begun == [1]


def test_a_body_that_fails_fails_where_it_is_asked_for_and_may_be_asked_again(
    package: Path,
) -> None:
    """As an import does."""
    (package / "__init__.py").write_text("from .missing import VALUE\n")
    module = imported()
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="missing"):
            _ = module.VALUE
    (package / "missing.py").write_text("VALUE = 2\n")
    importlib.invalidate_caches()
    assert module.VALUE == 2


def test_it_waits_only_inside_of_the_block(package: Path) -> None:
    """Afterwards its name is imported as ever."""
    with late_packages.late({NAME}):
        pass
    (package / "__init__.py").write_text("BEGUN = True\n")
    module = importlib.import_module(NAME)
    assert module.__dict__["BEGUN"] and type(module) is ModuleType
