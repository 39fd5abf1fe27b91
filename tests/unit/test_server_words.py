"""Texts that people read use plain words: messages, reasons and advice of server_bundle and jobs.

Docstrings and comments are not checked. A literal without a space is an identifier (a JSON key, an
attribute, a file name) and not checked either.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import jobs
import server_bundle
from server_bundle import package_data

PACKAGES = tuple(Path(str(one.__file__)).parent for one in (server_bundle, jobs))
BANNED = re.compile(
    r"\b(?:told|tells?|telling|mend(?:s|ed|ing)?|heed(?:s|ed)?|whoever|nobody|somebody|everybody"
    r"|anew|for ever|go(?:es|ing)? on|of ours|of yours|by us|at your service|wish(?:es|ed)?"
    r"|forgets?|forgotten|hand(?:s|ed)? over|cure[sd]?|at once|keepers?)\b",
    re.IGNORECASE,
)
ALLOWED = {
    "not told": "an event kind: part of the JSON output",
    "cancel wished": "an event kind: part of the JSON output",
    "The ferry was late again this morning, and nobody at the pier knew why. ": (
        "the warm-up prompt: its number of tokens is known"
    ),
}
_PATTERNS = "signs"
"""The key of catalogue.toml whose values are patterns for server logs, not texts."""


def docstrings(tree: ast.AST) -> set[int]:
    """Ids of the nodes of all strings that are statements: docstrings, of attributes too."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def text_of(node: ast.JoinedStr) -> str:
    """An f-string with {} for each value."""
    return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each string literal and f-string that may be a text: with a space in it."""
    tree = ast.parse(source)
    skipped = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = text_of(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = "" if id(node) in skipped else node.value
        else:
            continue
        if " " in text:
            yield node.lineno, text


def toml_texts(value: Any, key: str = "") -> Iterator[str]:
    """All texts in a TOML file's content."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from toml_texts(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from toml_texts(one, key)
    elif isinstance(value, str) and key != _PATTERNS:
        yield value


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Place and text of every text of both packages."""
    return tuple(_texts())


def _texts() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            name = path.relative_to(package.parent)
            for line, text in literals(path.read_text(encoding="utf-8")):
                yield f"{name}:{line}", text
        for path in sorted(package.rglob("*.toml")):
            for text in toml_texts(package_data.read(path)):
                yield str(path.relative_to(package.parent)), text


def test_texts_use_plain_words() -> None:
    """The message names place, word and text."""
    found = [
        f"{place}: {word[0]!r} in {text!r}"
        for place, text in texts()
        if text not in ALLOWED and (word := BANNED.search(text))
    ]
    assert found == []


def test_every_exception_is_still_needed() -> None:
    """An exception whose text is gone is removed here too."""
    assert set(ALLOWED) - {text for _, text in texts()} == set()


def test_the_texts_are_found() -> None:
    """Known ones of both packages and of the TOML files are among them."""
    every = "\n".join(text for _, text in texts())
    for known in (
        "its disk cannot be read or written.",  # jobs
        "is not ready after {} s; its last stage is {}",  # an f-string of server_bundle
        "the port is in use",  # catalogue.toml
        "the largest batch size with a CUDA graph",  # flag_changes.toml
        "this project has not run it",  # a profile
    ):
        assert known in every, known


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('raise ValueError("nobody knows")', ["nobody knows"]),
        ('x = f"{y} is told {z!r}"', ["{} is told {}"]),
        ('x = ("it goes "\n     "on")', ["it goes on"]),
        ('"""A docstring that tells."""\n', []),
        ('class A:\n    x = 1\n    """Told by nobody."""', []),
        ('x = {"cure": 1}', []),
        ("x = 1  # a comment by whoever", []),
        ('x = "plain words"', []),
    ],
)
def test_a_banned_word_is_seen(source: str, words: list[str]) -> None:
    """In literals and f-strings, also across lines; not in docstrings, comments, identifiers."""
    assert [text for _, text in literals(source) if BANNED.search(text)] == words
