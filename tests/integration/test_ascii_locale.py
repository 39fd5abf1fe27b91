"""An answer in any language under a locale of ASCII: no character changes without a word."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang

from ktclient import submit_long

pytestmark = pytest.mark.each_python
ANSWER = "Wörter, 红楼梦, “und so”, 🐟."
LOCALES = {
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "", "LANG": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "stated": {"PYTHONIOENCODING": "ascii"},
    "strict": {"PYTHONIOENCODING": "latin-1:strict"},
}
UTF8 = {"LC_ALL": "C.UTF-8"}


@pytest.fixture
def answered(tmp_path: Path, ktjob_home: Path) -> Iterator[str]:
    """The id of a job about 红楼梦.txt, answered in several languages."""
    document = tmp_path / "红楼梦.txt"
    document.write_text("一回", encoding="utf-8")
    with fake_sglang(tmp_path, "--answer", ANSWER) as server:
        job = submit_long(document, ask="谁", server=server.url, label="夜")
        assert job.result() == ANSWER
        yield job.id


def env(locale: str) -> dict[str, str]:
    return {**os.environ, "PAGER": "cat", **LOCALES.get(locale, UTF8)}


def said(locale: str, *words: str) -> tuple[int, bytes, bytes]:
    """A command's code and bytes, into pipes."""
    done = subprocess.run(
        [sys.executable, "-m", "ktclient", *words], env=env(locale), capture_output=True
    )
    assert b"Traceback" not in done.stderr and b"?" not in done.stdout
    return done.returncode, done.stdout, done.stderr


@pytest.mark.promise
@pytest.mark.parametrize("locale", LOCALES)
def test_pipes_and_files_get_utf8(locale: str, answered: str, tmp_path: Path) -> None:
    """Byte for byte, from every command that prints what an answer, a name or a label has."""
    line = f"{ANSWER}\n".encode()
    for words in (("result", answered), ("result", "--raw", answered)):
        assert said(locale, *words) == (0, line, b"")
    assert said(locale, "follow", answered)[:2] == (0, line)
    file = tmp_path / "r.txt"
    assert said(locale, "result", answered, "-o", str(file))[0] == 0
    assert file.read_bytes() == line
    assert json.loads(said(locale, "result", "--json", answered)[1])["text"] == ANSWER
    for words in (
        ("show", answered, "--json"),
        ("wait", answered, "--json"),
        ("list", "--json"),
        ("events", answered),
        ("list",),
        ("show", answered),
        ("status",),
    ):
        code, out, _ = said(locale, *words)
        assert code == 0
        assert words[0] == "events" or "红楼梦.txt".encode() in out, words
    path = Path(os.fsdecode(said(locale, "open", answered, "--path")[1].strip()))
    assert path.read_text(encoding="utf-8").strip() == ANSWER


def on_terminal(locale: str, *words: str) -> bytes:
    """What a terminal receives from a command, with what it says on stderr."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ktclient", *words]
    with subprocess.Popen(command, env=env(locale), stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        got = bytearray()
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while piece := os.read(ours, 4096):
                got += piece
    os.close(ours)
    assert process.returncode == 0 and b"Traceback" not in got
    return bytes(got)


@pytest.mark.promise
@pytest.mark.parametrize("locale", ["C", "stated"])
def test_a_terminal_that_lacks_characters_is_told_so(locale: str, answered: str) -> None:
    """How many, and how to see them."""
    for words in (("result", answered), ("follow", answered)):
        got = on_terminal(locale, *words).decode()
        assert "W?rter, ???, ?und so?, ?." in got
        assert "7 characters of the output are shown as" in " ".join(got.split())
    assert "characters of the output" in on_terminal(locale, "show", answered).decode()


def test_a_terminal_that_has_them_is_told_nothing(answered: str) -> None:
    """It gets every character, and no note."""
    assert on_terminal("UTF-8", "result", answered).decode().strip() == ANSWER
