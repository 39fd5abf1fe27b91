"""Every `>>>` of a docstring, as its reader types it."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang

ROOT = Path(__file__).parents[2]
ANSWER = "It ends well."


def _examples() -> Iterator[tuple[str, str]]:
    """Where each docstring with examples is, and its code."""
    for path in sorted(
        p for room in ("jobs", "ktclient", "server_bundle") for p in (ROOT / room).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found = doctest.DocTestParser().get_examples(ast.get_docstring(node) or "")
                if found:
                    yield str(path.relative_to(ROOT)), "".join(one.source for one in found)


def test_every_example_runs(
    tmp_path: Path,
    ktjob_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a folder that holds the file they name."""
    examples = dict(_examples())
    assert "ktclient/__init__.py" in examples
    monkeypatch.chdir(tmp_path)
    Path("report.txt").write_bytes((ROOT / "examples/report.txt").read_bytes())
    with fake_sglang(tmp_path, "--answer", ANSWER) as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
        for place, code in examples.items():
            exec(compile(code, place, "exec"), {})
        (sent,) = server.requests()
    assert "Sallow" in sent["messages"][0]["content"], "not the file's name, but what is in it"
    assert capsys.readouterr().out.rstrip().endswith(ANSWER)
