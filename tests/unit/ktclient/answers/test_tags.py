"""When a tag is a tag, by the line before it and the text after it."""

from __future__ import annotations

import pytest

from ktclient.answers.tags import Line

pytestmark = pytest.mark.each_python


def line(*texts: str) -> Line:
    found = Line()
    for text in texts:
        found.grow(text)
    return found


def test_a_line_is_the_same_however_it_comes() -> None:
    """Whole or in characters."""
    for text in (
        " " * 300 + "```\na",
        "a\n```\nb",
        "a\n  ~~~x\nb\n~~~\n",
        'a "b',
        "x `y",
        "\n\n",
        "a. ",
        "``",
        "```\nb```",
    ):
        whole, pieces = line(text), line(*text)
        for after in ("", "\n", " b", "`", '"', "A"):
            assert whole.is_quoted(after) == pieces.is_quoted(after), (text, after)
            assert whole.is_mention(after) == pieces.is_mention(after), (text, after)


@pytest.mark.parametrize(
    ("before", "after", "is_mention"),
    [
        ("", "\n", False),
        ("", "Yes", False),
        ("", " Yes", False),
        ("", " means the end", True),
        ("So.\n", "\n", False),
        ("So.", "Yes", False),
        ("so", "\n", False),
        ("so ", "\n", True),
        ("So. ", " Yes", False),
        ("So. ", " is a tag", True),
        ("so ", ".", True),
        ("(", ")", True),
        ("```\n", "\n", True),
        ("```\na\n```\n", "\n", False),
        ("```\na\n```", "Yes", False),
        ("```\n~~~\n", "\n", True),
        ("`a", "b` c", True),
        ("`a", " b\n`", False),
        ('He said "a', 'b".', True),
        ('and that".', '{"a": "b"}', False),
        ("it's '", "' here", True),
    ],
)
def test_a_tag_or_a_mention(before: str, after: str, is_mention: bool) -> None:
    assert line(before).is_mention(after) is is_mention
