"""The plan of `ktserver up --gguf`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from server_bundle.embedded import gguf, server
from server_bundle.errors import EmbeddedNotInstalled, PlanRefused
from server_bundle.launch.start_progress import StartUp
from server_bundle.plan import key_file, plan_file


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "Some Model.Q4.gguf"
    file.write_bytes(b"GGUF\x03\0\0\0")
    return file


def test_a_plan_has_what_was_asked_for_and_no_key(model: Path, tmp_path: Path) -> None:
    wanted = gguf.Wanted(str(model), context=4096, gpu_layers=20, parallel=3, port=8123)
    key = key_file.write(tmp_path / "state", "a-secret: 'key'")
    plan = gguf.plan(wanted, key)
    assert (plan.url, plan.context, plan.served_name) == ("http://127.0.0.1:8123", 4096, model.stem)
    words = " ".join(plan.argv)
    for part in ("--context 4096", "--gpu-layers 20", "--parallel 3", str(model), str(key)):
        assert part in words
    assert "a-secret" not in words
    assert gguf.key_in(key) == "a-secret: 'key'"
    assert plan_file.from_json(plan_file.to_json(plan)) == plan


def test_without_options_llama_cpp_and_the_file_decide(model: Path) -> None:
    plan = gguf.plan(gguf.Wanted(str(model)), None)
    assert (plan.port, plan.context) == (gguf.PORT, None)
    assert not {"--context", "--gpu-layers", "--key-file"} & set(plan.argv)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file": "missing.gguf"}, "cannot read --gguf missing.gguf: No such file"),
        ({"file": __file__}, "is not a GGUF file"),
        ({"context": 1}, "--context must be at least 256"),
        ({"context": 2**31}, "--context times --parallel must be at most 2,147,483,647"),
        ({"context": 2**30, "parallel": 2}, "--context times --parallel must be at most"),
        ({"gpu_layers": 2**31}, "--gpu-layers must be at most"),
        ({"gpu_layers": -1}, "--gpu-layers must be at least 0"),
        ({"parallel": 0}, "--parallel must be at least 1"),
    ],
)
def test_what_cannot_run_is_refused(model: Path, changes: dict[str, object], words: str) -> None:
    wanted = dataclasses.replace(gguf.Wanted(str(model)), **changes)  # type: ignore[arg-type]
    with pytest.raises(PlanRefused, match=words):
        gguf.plan(wanted, None)


def test_without_llama_cpp_it_says_how_to_get_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "is_installed", lambda: False)
    with pytest.raises(EmbeddedNotInstalled, match="embedded"):
        gguf.plan(gguf.Wanted(str(model)), None)


def test_its_log_shows_the_start() -> None:
    """The lines that gguf_process.py writes, as the supervisor reads them."""
    start = StartUp()
    start.read(f"{gguf.LOADING} /models/some.gguf")
    assert (start.stage, start.is_ready) == ("loading weights", False)
    start.read("0.01.075.494 I srv    load_model: loading model")
    start.read(f"{gguf.READY} at http://127.0.0.1:40001")
    assert start.is_ready
