"""Files and words of the user's that are nested beyond measure, too large, or no files: refused in
words, with an exit code. Each is just above our limit, and harmless for any other program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.parsing import LEVELS
from ktclient.config import file as config_file

DEEP = "[" * (LEVELS + 1) + "]" * (LEVELS + 1)
DOTS = "a." * (LEVELS + 1) + "a"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file, which is missing."""
    monkeypatch.setenv("KTJOB_CONFIG", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    return tmp_path / "config" / "config.toml"


def refused(program: str, *words: str) -> str:
    """What it says; it ends at once, with an exit code."""
    done = subprocess.run(
        [sys.executable, "-c", f"from ktclient.cli.{program} import main; main()", *words]
        if program == "ktserver"
        else [sys.executable, "-m", "ktclient", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr and "recursion" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"[server]\nurl = {DEEP}", "nested more than 100 levels deep"),
        (f"[server]\nurl.{DOTS} = 1", "nested more than 100 levels deep"),
        (f"[defaults]\n{DOTS} = 1", "nested more than 100 levels deep"),
        (f"[notify]\nme = {DEEP}", "nested more than 100 levels deep"),
        ("[server]\nparallel = " + "9" * 5000, "a number that is too large"),
        ("[server]\nurl = 0x" + "f" * 5000, "a number that is too large"),
        ("#" * (config_file.MOST_BYTES + 1), "more than 1,000,000 bytes"),
        ("[server]\nurl = '" + "x" * 500 + "\0", "cannot be read"),
    ],
)
def test_a_configuration_beyond_measure_is_refused(config: Path, text: str, reason: str) -> None:
    """By every command that needs it; `set` changes nothing."""
    config.write_text(text)
    for words in (["config", "check"], ["check", "x"], ["config", "set", "server.model", "m"]):
        assert reason in refused("ktjob", *words), words
    assert config.read_text() == text


def test_a_configuration_that_is_no_file_is_not_waited_for(config: Path) -> None:
    """A pipe, a folder, a device without end."""
    os.mkfifo(config)
    assert "it is a pipe, not a file" in refused("ktjob", "config", "check")
    config.unlink()
    config.mkdir()
    assert "cannot be read" in refused("ktjob", "config", "check")
    config.rmdir()
    config.symlink_to("/dev/zero")
    assert "more than 1,000,000 bytes" in refused("ktjob", "config", "check")


@pytest.mark.parametrize("value", [DEEP, "{a = " * 101 + "1" + "}" * 101, "9" * 5000])
def test_a_value_beyond_measure_is_not_set(config: Path, value: str) -> None:
    """As a word of the command line."""
    assert "the value cannot be used: it" in refused(
        "ktjob", "config", "set", "server.model", value
    )
    assert not config.exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"prompt = {DEEP}", "nested more than 100 levels deep"),
        (f'prompt = "x"\n[variables]\n{DOTS} = 1', "nested more than 100 levels deep"),
        ("max_tokens = " + "9" * 5000, "a number that is too large"),
        ("#" * 300_000, "more than 200,000 bytes"),
    ],
)
def test_a_template_beyond_measure_is_refused(
    config: Path, tmp_path: Path, text: str, reason: str
) -> None:
    """By `submit`, and where it is only shown."""
    story, folder = tmp_path / "story.txt", config.parent / "templates"
    story.write_text("Once upon a time.")
    folder.mkdir()
    (folder / "mine.toml").write_text(text)
    assert reason in refused("ktjob", "submit", "--template", "mine", str(story))
    assert reason in refused("ktjob", "templates", "mine")


def test_a_plan_beyond_measure_is_refused(config: Path, tmp_path: Path) -> None:
    """Before anything is started."""
    plan = tmp_path / "plan.json"
    for text, reason in (
        (json.dumps({"argv": json.loads(DEEP)}), "nested more than 100 levels deep"),
        ('{"port": ' + "9" * 5000 + "}", "a number that is too large"),
        ('{"port": NaN}', "NaN is not a JSON number"),
        (" " * 1_000_001, "more than 1,000,000 bytes"),
    ):
        plan.write_text(text)
        assert reason in refused("ktserver", "up", "--plan", str(plan))


def test_a_batch_beyond_measure_is_refused(config: Path, tmp_path: Path) -> None:
    """With the number of its line."""
    requests = tmp_path / "requests.jsonl"
    deep = "[" * 401 + "]" * 401
    for line, reason in (
        (f'{{"custom_id": {deep}}}', "line 1: it is nested more than 400 levels deep"),
        ('{"custom_id": ' + "9" * 5000 + "}", "line 1: it contains a number that is too large"),
    ):
        requests.write_text(line)
        assert reason in refused("ktjob", "batch", str(requests), "-o", str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$dynamicRef": "#node"}, 'write {"$ref": "#/$defs/NAME"}'),
        ({"properties": {"a": {"$recursiveRef": "#"}}}, "uses $recursiveRef"),
        ({"$ref": "#"}, "leads back to itself"),
        ({"$ref": "file:///etc/hostname"}, "copy that into the schema"),
        ({"pattern": "^(a+)+$"}, "Write the repetition once"),
        ({"pattern": "a" * 1001}, "more than 1,000 characters"),
        ({"const": json.loads(DEEP)}, "nested more than 100 levels deep"),
    ],
)
def test_a_schema_that_no_server_can_follow_is_refused_at_submit(
    config: Path, tmp_path: Path, schema: dict[str, object], words: str
) -> None:
    """With what to write instead; nothing is stored."""
    (tmp_path / "story.txt").write_text("Once upon a time.")
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    file = str(tmp_path / "schema.json")
    told = refused("ktjob", "submit", "--schema", file, "--", str(tmp_path / "story.txt"))
    assert words in " ".join(told.split()) and "schema.json" in told
