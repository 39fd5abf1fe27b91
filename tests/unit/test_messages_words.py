"""The words of the messages that the library shows to people: plain ones, one for each thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ktclient.prompts import templates

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ktclient"
BANNED = re.compile(
    r"\b(?:"
    r"told|tells?|telling|mends?|mended|mending|heeds?|heeded|whoever|whomever|nobody|somebody|"
    r"anybody|anew|for ever|goes on|go on|going on|of ours|of yours|of its own|at your service|"
    r"wish|wishes|wished|forgets?|forgotten|hands? over|handed over|cures?|at once|"
    r"the far (?:side|end)"
    r")\b",
    re.IGNORECASE,
)
ALLOWED = {
    ("planning/forecast.py", "cure"): "a key of the JSON output",
}
"""(file, whole text): why it may stand."""


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each string that is a value: no docstring, none that stands alone."""
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.lineno, node.value


def banned_in(folder: Path) -> list[tuple[str, int, str]]:
    """File, line and text of each string below a folder, but for `cli`, that has a banned word."""
    return [
        (str(path.relative_to(folder)), line, text)
        for path in sorted(folder.rglob("*.py"))
        if path.relative_to(folder).parts[0] != "cli"
        for line, text in texts(path.read_text(encoding="utf-8"))
        if BANNED.search(text)
    ]


def test_messages_are_in_plain_words() -> None:
    """What people read says what happened, to what, and what to do, in words that all know."""
    found = [one for one in banned_in(PACKAGE) if (one[0], one[2]) not in ALLOWED]
    assert not found, "\n".join(f"ktclient/{file}:{line}: {text}" for file, line, text in found)


def test_what_is_allowed_is_still_there() -> None:
    """An exception that nothing needs any more goes."""
    assert {(file, text) for file, _, text in banned_in(PACKAGE)} == set(ALLOWED)


def test_template_descriptions_are_in_plain_words(tmp_path: Path) -> None:
    """`ktjob templates` shows them; the prompts themselves are for models, and are left alone."""
    names = templates.names(tmp_path)
    assert names
    for name in names:
        description = templates.load(name, tmp_path).description
        assert description and not BANNED.search(description), f"{name}: {description}"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('raise ValueError("mend it")', ["mend it"]),
        ('raise ValueError(f"{name}: nobody answers")', [": nobody answers"]),
        ('def run():\n    """It is told."""\n', []),
        ('x = 1\n"""Told of x."""\n', []),
        ('x = "told_at"  # mend', []),
        ('say("the commander waits")', []),
    ],
)
def test_it_would_be_seen(tmp_path: Path, source: str, words: list[str]) -> None:
    """Words as a whole, in any case, in plain and formatted strings; not in docs and comments."""
    (tmp_path / "module.py").write_text(source, encoding="utf-8")
    assert [text for _, _, text in banned_in(tmp_path)] == words
