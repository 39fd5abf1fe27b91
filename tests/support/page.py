"""A page of the documentation as its reader types it: every `sh` block, command by command.

An HTML comment right above a block says what is otherwise than usual there: with
`<!-- try: exits 6 -->` each command ends with that code, with `<!-- try: not run, WHY -->` nothing
of the block is run here. In commands, `ID` is the id that the last submit printed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"(?:^<!-- try: (?P<how>[^\n]+?) -->\n)?^```sh\n(?P<text>.*?)^```", re.M | re.S)
_ID = re.compile(r"^[a-z][a-z0-9]{7}$", re.M)
_END = "the-end-of-a-command"


@dataclass(frozen=True)
class Command:
    """One command of a page, perhaps on several lines, and the exit code that it should have."""

    text: str
    code: int = 0


def commands(page: Path) -> list[Command]:
    """All that are to be run, in order."""
    return [
        Command(text, _code(how))
        for how, block in _blocks(page)
        if not how.startswith("not run, ")
        for text in _split(block)
    ]


def not_run(page: Path) -> list[str]:
    """Why blocks of the page are not run here."""
    return [how.removeprefix("not run, ") for how, _ in _blocks(page) if how.startswith("not run")]


def _blocks(page: Path) -> list[tuple[str, str]]:
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [(match["how"] or "", match["text"]) for match in found]


def _code(how: str) -> int:
    if not how:
        return 0
    told = re.fullmatch(r"exits (\d+)", how)
    assert told is not None, f"nobody knows how to try {how!r}"
    return int(told[1])


def _split(block: str) -> Iterator[str]:
    """Lines, joined until they are whole for bash."""
    waiting = ""
    for line in block.splitlines():
        waiting += line
        is_whole = not waiting.endswith("\\")
        if is_whole and _is_whole(waiting):
            if waiting.partition("#")[0].strip():
                yield waiting
            waiting = ""
        else:
            waiting += "\n"
    assert not waiting.strip(), f"not whole: {waiting}"


def _is_whole(text: str) -> bool:
    done = subprocess.run(["bash", "-n"], input=text, text=True, stderr=subprocess.DEVNULL)
    return done.returncode == 0


class Reader:
    """Somebody with a shell. Closed at the end of the block."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], words: Mapping[str, str]
    ) -> None:
        self._words = words
        self._id = "ID"
        self._said = folder / ".stderr"
        self._stderr = self._said.open("wb")
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait()
        assert self._shell.stdout is not None
        self._shell.stdout.close()
        self._stderr.close()

    def type(self, command: Command) -> str:
        """Run it; AssertionError unless it ends as it should. Returns what it printed."""
        text = re.sub(r"\bID\b", self._id, command.text)
        for word, meant in self._words.items():
            text = text.replace(word, meant)
        before = self._said.stat().st_size
        printed, code = self._run(text)
        said = self._said.read_bytes()[before:].decode(errors="replace")
        assert code == command.code, f"$ {text}\n{printed}\n{said}\nexit code {code}"
        if found := _ID.findall(printed):
            self._id = found[-1]
        return printed

    def _run(self, text: str) -> tuple[str, int]:
        assert self._shell.stdin is not None and self._shell.stdout is not None
        self._shell.stdin.write(f"{{ {text}\n}} </dev/null; code=$?; echo; echo {_END} $code\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(_END):
                return "".join(lines)[:-1], int(line.split()[1])
            lines.append(line)
        raise AssertionError(f"the shell ended in: {text}")
