"""`ktjob servers` and `ktjob models`: what each server says now, and what ktjob has there."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from fake_sglang.process import fake_sglang
from support.commands import Run
from support.output_schema import strict

from server_bundle.embedded import server as embedded


def _configure(folder: Path, **urls: str) -> None:
    folder.mkdir(exist_ok=True)
    tables = [f'[servers.{name}]\nurl = "{url}"\n' for name, url in urls.items()]
    (folder / "config.toml").write_text("\n".join(tables))


def _asked(run: Run, command: str, code: int = 0) -> list[dict[str, Any]]:
    done = run(command, "--json")
    assert done.returncode == code, done.stderr
    record = json.loads(done.stdout)
    strict(command).validate(record)
    found: list[dict[str, Any]] = record[command]
    return found


@pytest.mark.promise
def test_servers_and_models_of_a_large_a_small_and_a_dead_server(run: Run, tmp_path: Path) -> None:
    """Health, model, window, pool, use, speed and own jobs; one that is away keeps its models."""
    (tmp_path / "a.txt").write_text("It was a dark and stormy night. " * 80)
    for name in ("large", "small"):
        (tmp_path / name).mkdir()
    with socket.socket() as taken:  # nothing listens on its port
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        small_one = fake_sglang(tmp_path / "small", "--window", "2000", "--pool", "5000")
        with fake_sglang(tmp_path / "large", "--metrics", "--model", "big") as large:
            with small_one as small:
                _configure(tmp_path / "config", large=large.url, small=small.url, dead=dead)
                submitted = run("submit", "a.txt", "--summarize", "--server", "large", "--wait")
                assert submitted.returncode == 0, submitted.stderr
                by_name = {one["name"]: one for one in _asked(run, "servers")}
                table = run("servers")
            is_away = {one["name"]: one for one in _asked(run, "servers")}
            models = _asked(run, "models")
            large.hold()
            later = run(
                "submit", "a.txt", "--ask", "Who?", "--server", "large", "--max-tokens", "9"
            )
            assert later.returncode == 0, later.stderr
            large.wait_for_event("request", n=2)
            busy = {one["name"]: one for one in _asked(run, "servers")}["large"]
            large.let_go()
    one = by_name["large"]
    assert one["state"] in ("ready", "busy")  # busy: it took long to say that it is idle
    assert (one["model"], one["window"], one["pool"]) == ("big", 1_048_576, 964_864)
    assert one["prefill_speed"] > 0 and one["source"] == "configured"
    assert (by_name["small"]["window"], by_name["small"]["pool"]) in ((2000, 5000), (2000, None))
    assert by_name["small"]["prefill_speed"] is None
    assert by_name["dead"]["state"] == "away" and "nothing listens" in by_name["dead"]["reason"]
    assert table.returncode == 0 and "dead: no server answers at" in table.stderr
    assert [line.split()[0] for line in table.stdout.splitlines()][-3:] == [
        "large",
        "small",
        "dead",
    ]
    assert is_away["small"]["state"] == "away"
    listed = [(m["id"], m["server"], m["window"], m["is_available"]) for m in models]
    assert ("big", "large", 1_048_576, True) in listed
    assert ("DeepSeek-V4-Flash", "small", 2000, False) in listed
    assert busy["state"] == "busy" and busy["own"]["running"] == 1 and busy["own"]["reserved"] > 9


def test_a_default_server_that_refuses_the_key(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason, and exit code 6 unless the embedded one can be used."""
    code = 0 if embedded.is_installed() else 6
    (tmp_path / "locked").mkdir()
    with fake_sglang(tmp_path / "locked", "--require-key", "right") as locked:
        monkeypatch.setenv("KTJOB_SERVER", locked.url)
        one = _asked(run, "servers", code)[0]
        assert (one["name"], one["is_default"], one["state"]) == (None, True, "refused")
        assert "KTJOB_API_KEY" in one["reason"]
        assert all(model["url"] != locked.url for model in _asked(run, "models", code))
