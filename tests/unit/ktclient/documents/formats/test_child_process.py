"""Real reading processes that misbehave (tests/support/misreading), and what is said of each."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from ktclient.documents.formats import allowance, child_process
from ktclient.errors import DocumentUnusable

SUPPORT = Path(__file__).parents[4] / "support"
MOST = 2_000_000
DAMAGE = r"it may be damaged \(its reader crashed: "
MEMORY = "takes more than 1.2 GB of memory to read as HTML; extract"


@pytest.fixture(autouse=True)
def misreading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT / "misreading"))
    # More than this process has itself: a child's figure of memory begins with its parent's.
    monkeypatch.setattr(allowance, "MEMORY_BYTES", 1_200_000_000)


def refusal(deed: str, most: int = MOST) -> str:
    with pytest.raises(DocumentUnusable, match=r"^d\.html ") as refused:
        child_process.read(f"<html><!--{deed}-->".encode(), "HTML", "d.html", most)
    words = str(refused.value)
    assert "Traceback" not in words and len(words) < 400
    return words


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("hoard", MEMORY),
        ("bad_alloc", MEMORY),
        ("library", MEMORY),
        ("segfault", f"{DAMAGE}SIGSEGV"),
        ("abort", f"{DAMAGE}SIGABRT"),
        ("killed", "killed by SIGKILL, probably because this machine has too little memory"),
        ("ended", "was ended by SIGTERM; try again"),
        ("exit", "its reader failed (exit code 3)"),
        ("nothing", "its reader failed (exit code 0)"),
        ("noise", "its reader failed"),
        ("nested", "its reader failed"),
        ("no text", "its reader failed"),
        ("flood", "contains more than 2 MB of text"),
        ("file", "its reader failed (OSError: "),
        ("files", "its reader failed (OSError: "),
        ("import", "its reader cannot be loaded (ImportError: libfoo.so: no such file); install"),
        ("child", "it may be damaged (ValueError: with a child)"),
    ],
)
def test_each_end_is_said_for_what_it_is(deed: str, words: str) -> None:
    """Memory, damage, the reader itself or somebody else."""
    assert words.replace("\\", "") in refusal(deed)


@pytest.mark.parametrize("megabytes", [40, 60, 80])
def test_a_real_reader_without_memory_is_no_damaged_document(
    monkeypatch: pytest.MonkeyPatch, megabytes: int
) -> None:
    """While its library is loaded, and in the middle of a page."""
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setattr(allowance, "MEMORY_BYTES", megabytes * 1_000_000)
    page = "<html><body>" + "<p>It was <b>a dark</b> night.</p>" * 30_000
    with pytest.raises(DocumentUnusable, match=f"^d takes more than 0.0{megabytes // 10} GB of"):
        child_process.read(page.encode(), "HTML", "d", MOST)


def test_too_much_cpu_time_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the soft limit, and at the hard one where the reader does not hear of the soft one."""
    monkeypatch.setattr(allowance, "CPU_SECONDS", 1)
    monkeypatch.setattr(allowance, "LAST_CPU_SECONDS", 1)
    for deed in ("spin", "spin on"):
        assert "cannot be read as HTML within 1 s of CPU time; extract" in refusal(deed)


def test_too_much_time_by_the_clock_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it sleeps, has closed its pipes, holds Python's lock, or fills its stderr."""
    monkeypatch.setattr(allowance, "SECONDS", 0.5)
    for deed in ("sleep", "close all and sleep", "sleep in C", "flood of errors"):
        assert "cannot be read as HTML within 0.5 s; extract" in refusal(deed)


def test_time_in_which_the_caller_was_stopped_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-Z over the weekend: here days go by between two looks."""
    days = count(step=500_000.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(days))
    monkeypatch.setattr(allowance, "SECONDS", 100_000.0)
    assert child_process.read(b"<!--interrupted-->", "HTML", "d", MOST).text == "text\n"


def test_ctrl_c_is_its_callers_affair() -> None:
    """Both get it. The caller may not want to end for it, as in a program with asyncio."""
    assert child_process.read(b"<!--interrupted-->", "HTML", "d", MOST).about == "1 word"


def test_a_document_that_is_not_read_to_its_end_does_no_harm() -> None:
    """More than a pipe holds, to a reader that has ended."""
    body = b"<!--exit-->" + b" " * 1_000_000
    with pytest.raises(DocumentUnusable, match="exit code 3"):
        child_process.read(body, "HTML", "d", MOST)


READ = """
import sys
from ktclient.documents.formats import child_process
from ktclient.errors import DocumentUnusable
try:
    print(child_process.read(sys.argv[1].encode(), "HTML", "d", 1000).about)
except DocumentUnusable as error:
    print(error)
"""


def test_what_its_caller_has_in_memory_is_not_the_readers() -> None:
    """The kernel begins a child's figure with that of its parent."""
    large = READ.replace("import sys", "import sys; document = bytearray(b'x') * 3_000_000_000", 1)
    done = subprocess.run(
        [sys.executable, "-c", large, "<!--exit-->"], capture_output=True, text=True
    )
    assert "its reader failed (exit code 3)" in done.stdout, done.stderr


def test_a_crash_for_lack_of_memory_is_no_damage() -> None:
    """Of a caller that has less itself, as commands have: pytest may have had more."""
    small = (
        f"from ktclient.documents.formats import allowance\nallowance.MEMORY_BYTES = {1.2e9:.0f}"
    )
    done = subprocess.run(
        [sys.executable, "-c", small + READ, "<!--hoard and crash-->"],
        capture_output=True,
        text=True,
    )
    assert MEMORY in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("kind", "most", "deed", "words"),
    [
        (resource.RLIMIT_AS, 512_000_000, "interrupted", "1 word"),
        (resource.RLIMIT_AS, 512_000_000, "hoard", "takes more than 0.5 GB of memory"),
        (resource.RLIMIT_CPU, 7, "spin", "within 2 s of CPU time"),
    ],
)
def test_tighter_limits_of_the_caller_hold_and_are_named(
    kind: int, most: int, deed: str, words: str
) -> None:
    """`ulimit`: they cannot be raised, and what they cost is said for what it is."""
    done = subprocess.run(
        [sys.executable, "-c", READ, f"<!--{deed}-->"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(kind, (most, most)),
    )
    assert words in done.stdout, done.stderr
