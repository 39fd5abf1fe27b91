"""What an unknown word may have meant: near words, words of other programs, or nothing."""

from __future__ import annotations

import pytest

from ktclient.cli import exit_codes
from ktclient.cli.command_table import KTJOB
from ktclient.cli.ktjob import ktjob
from ktclient.cli.ktserver import ktserver
from ktclient.cli.suggestions import _COMMANDS, ALIASES


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("submit a.txt --question Why", "Did you mean '--ask'?"),
        ("submit a.txt --summarise", "Did you mean '--summarize'?"),
        ("submit a.txt --max_tokens 5", "Did you mean '--max-tokens'?"),
        ("submit a.txt --tokens 5", "Did you mean '--max-tokens'?"),
        ("status --follow", "Did you mean '--watch'?"),
        ("submit a.txt --colour red", ""),
        ("list --question", ""),
        ("retry k --verbose", ""),
        ("cancle k", "Did you mean 'cancel'?"),
        ("statsu", "Did you mean 'status'?"),
        ("tail k", "Did you mean 'follow'?"),
        ("delete k", "Did you mean 'rm'?"),
        ("frobnicate", ""),
        ("json", ""),
    ],
)
def test_only_what_is_near_is_guessed(
    words: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong guess is worse than none."""
    assert exit_codes.code_of_command(ktjob, "ktjob", words.split()) == exit_codes.USAGE
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("Error: No such ")
    assert said.endswith(meant) if meant else "Did you mean" not in said


def test_ktserver_guesses_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Only commands that it has."""
    for word, meant in (("dwon", "Did you mean 'down'?"), ("kill", "'kill'."), ("tail", "'tail'.")):
        assert exit_codes.code_of_command(ktserver, "ktserver", [word]) == exit_codes.USAGE
        assert capsys.readouterr().err.strip().endswith(meant)


def test_aliases_are_understood_and_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """And none of them hides a command of ours."""
    assert exit_codes.code_of_command(ktjob, "ktjob", ["--help"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "]
    for alias, name in ALIASES.items():
        assert exit_codes.code_of_command(ktjob, "ktjob", [alias, "--help"]) == 0
        assert f"ktjob {name} [OPTIONS]" in capsys.readouterr().out
        assert alias not in listed and alias not in KTJOB and name in KTJOB
    assert not set(_COMMANDS) & set(KTJOB) and set(_COMMANDS.values()) <= set(KTJOB)
