"""Templates from the command line and from Python, to the server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer
from support.commands import Run

from ktclient import submit_long

MINE = 'prompt = "For $who: what is in $title?"\nsystem = "Be terse."\nmax_tokens = 99\n'


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"Story {name}: $who.")
    (tmp_path / "config" / "templates").mkdir(parents=True)
    (tmp_path / "config" / "templates" / "mine.toml").write_text(MINE)


def test_each_document_is_asked_by_its_own_name(run: Run, server: FakeServer) -> None:
    """One template, two files; the same from Python."""
    told = run("submit", "a.txt", "b.txt", "--template", "mine", "-v", "who=A=B", "--wait")
    assert told.returncode == 0, told.stderr
    job = submit_long("Text.", template="mine", variables={"who": "me"})
    assert job.result() == "Well."
    sent = sorted(request["messages"][1]["content"] for request in server.requests())
    assert sent == [
        "Story a: $who.\n\nFor A=B: what is in a.txt?",
        "Story b: $who.\n\nFor A=B: what is in b.txt?",
        "Text.\n\nFor me: what is in text?",
    ]
    assert {request["max_tokens"] for request in server.requests()} == {99}


def test_what_cannot_be_filled_is_refused(run: Run) -> None:
    """Exit code 2, nothing stored, and no server asked."""
    for reason, *options in (
        ("--var who=…", "--template", "mine"),
        ("--var expects NAME=VALUE", "--template", "mine", "-v", "who"),
        ("given twice", "--template", "mine", "-v", "who=a", "--var", "who=b"),
    ):
        refused = run("submit", "a.txt", *options)
        assert (refused.returncode, refused.stdout) == (2, "") and reason in refused.stderr
    assert json.loads(run("status", "--json").stdout) == []


def test_they_are_listed_and_shown(run: Run, tmp_path: Path) -> None:
    """With variables in brackets where there is a default; a wrong one is told besides the rest."""
    listed = run("templates")
    assert listed.returncode == 0
    assert [line.split()[:2] for line in listed.stdout.splitlines()[1:3]] == [
        ["chapters", "[sentences]"],
        ["mine", "who"],
    ]
    shown = run("templates", "mine")
    assert shown.stdout == MINE and "--template mine --var who=…" in shown.stderr
    (tmp_path / "config/templates/bad.toml").write_text("prompt = 5")
    listed = run("templates", "--json")
    names = [one["name"] for one in json.loads(listed.stdout)]
    assert (listed.returncode, names) == (2, ["chapters", "mine", "minutes", "terms"])
    assert "bad.toml: prompt must be text" in listed.stderr
    assert json.loads(run("templates", "mine", "--json").stdout)["variables"] == {"who": None}
    assert run("templates", "gone").returncode == 2
