"""`--help` uses plain words: no command and no option has a banned one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from ktclient.cli.ktjob import ktjob
from ktclient.cli.ktserver import ktserver

BANNED = (
    *("told", "tell", "tells", "telling"),
    *("mend", "mends", "mended", "mending"),
    *("heed", "heeds", "heeded"),
    *("whoever", "nobody", "somebody", "anew", "for ever"),
    *("go on", "goes on", "going on", "went on"),
    *("of ours", "of yours", "at your service"),
    *("wish", "wishes", "wished"),
    *("forget", "forgets", "forgot", "forgotten"),
    *("hand over", "hands over", "handed over"),
    *("cure", "cures", "cured"),
)
"""Words that readers stumbled over; the glossary has the terms to use instead."""


def texts(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    """What `--help` says of a command, of its options and of the commands below it, each with the
    place where it stands."""
    for about in (command.help, command.short_help, command.epilog):
        if about:
            yield path, about
    for param in command.params:
        if isinstance(param, click.Option) and param.help:
            yield f"{path} {max(param.opts, key=len)}", param.help
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, f"{path} {name}"
            yield from texts(inner, f"{path} {name}")


TEXTS = [*texts(ktjob, "ktjob"), *texts(ktserver, "ktserver")]


def banned(text: str) -> list[str]:
    """The banned words in a text: whole words, in any letter case, also across line ends."""
    plain = re.sub(r"\s+", " ", text)
    return [word for word in BANNED if re.search(rf"\b{re.escape(word)}\b", plain, re.I)]


def test_no_help_text_has_a_banned_word() -> None:
    """All of them, in one message that says where each word stands."""
    found = [f"`{path}` says {banned(text)}: {text!r}" for path, text in TEXTS if banned(text)]
    assert not found, "use plain words in ktclient/cli:\n" + "\n".join(found)


def test_every_command_and_option_is_looked_at() -> None:
    """Also one two levels down, and the hidden one."""
    paths = {path for path, _ in TEXTS}
    assert {
        "ktjob submit --label",
        "ktjob config key",
        "ktjob at-your-service",
        "ktserver up --restart",
        "ktserver profiles show",
    } <= paths
    assert len(TEXTS) > 150


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A word Of\n    Yours, to find it by.", ["of yours"]),
        ("Forget finished jobs. Nobody mends them.", ["mends", "nobody", "forget"]),
        ("Delete a secure job of the foretold kind.", []),
    ],
)
def test_only_whole_words_count(text: str, words: list[str]) -> None:
    """In any letter case, and over a line end."""
    assert sorted(banned(text)) == sorted(words)
