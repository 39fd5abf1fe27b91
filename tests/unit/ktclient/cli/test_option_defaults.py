"""`[defaults]`: what options say where the command line is silent."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from ktclient.cli.ktjob import ktjob
from ktclient.errors import BadSetting


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


def parsed(folder: Path, table: str, *args: str, command: str = "submit") -> dict[str, object]:
    """What the command would be called with."""
    (folder / "config.toml").write_text(f"[defaults]\n{table}", encoding="utf-8")
    with ktjob.make_context("ktjob", [command]) as root:
        chosen = ktjob.commands[command]
        return chosen.make_context(command, ["a.txt", *args], parent=root).params


FULL = 'max_tokens = 7\ntimeout = 60\nthinking = true\ntemperature = 1\nlabel = "night"\n'


@pytest.mark.parametrize("command", ["submit", "check"])
def test_they_hold_where_nothing_is_said(folder: Path, command: str) -> None:
    """For submit and check, each as its option has it."""
    given = parsed(folder, FULL, command=command)
    assert (given["max_tokens"], given["timeout"], given["thinking"]) == (7, 60.0, "on")
    assert (given["temperature"], given["label"], given["priority"]) == (1.0, "night", 0)


def test_an_option_counts_more(folder: Path) -> None:
    """Also where it says what the option's own default is."""
    given = parsed(
        folder, FULL + "priority = 3\n", "--max-tokens", "9", "--thinking", "off", "--priority", "0"
    )
    assert (given["max_tokens"], given["thinking"], given["priority"]) == (9, "off", 0)
    assert given["label"] == "night"


@pytest.mark.parametrize("args", [("--template", "terms"), ("--template=terms",)])
def test_a_template_speaks_for_itself(folder: Path, args: tuple[str, ...]) -> None:
    """What one may say is not said over its head."""
    given = parsed(folder, FULL, *args)
    assert (given["max_tokens"], given["thinking"], given["temperature"]) == (None, None, None)
    assert given["label"] == "night"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("max_token = 7\n", "unknown setting 'defaults.max_token'"),
        ('server = "u:1"\n', "unknown setting 'defaults.server'"),
        ('ask = "Who?"\n', "unknown setting 'defaults.ask'"),
        ('max_tokens = "many"\n', "defaults.max_tokens: 'many' is not a valid int"),
        ("max_tokens = 1.5\n", "defaults.max_tokens: '1.5' is not a valid int"),
        ("priority = true\n", "defaults.priority: 'True' is not a valid int"),
        ('thinking = "maybe"\n', "defaults.thinking: 'maybe' is not one of"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_path(folder: Path, table: str, told: str) -> None:
    """Before anything else is looked at."""
    with pytest.raises(BadSetting, match=told) as refused:
        parsed(folder, table)
    assert str(folder / "config.toml") in str(refused.value)


def test_help_is_there_whatever_the_file_says(folder: Path) -> None:
    """Whoever mends the file needs it."""
    with pytest.raises(click.exceptions.Exit):
        parsed(folder, "nonsense = 1\n", "--help")
