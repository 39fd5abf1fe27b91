"""A draft: whole or not at all, and under a name that cannot be prepared."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import draft


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_the_mode_does_not_depend_on_the_umask(umask: int, tmp_path: Path) -> None:
    """Private unless the mode is left to the umask; while it is a draft too."""
    for mode, wanted in ((0o600, 0o600), (0o640, 0o640), (None, 0o666 & ~umask)):
        path = tmp_path / f"{mode}"
        one = draft.Draft(path, mode)
        try:
            assert mode is None or stat.S_IMODE(one.draft.stat().st_mode) == 0o600
            one.publish()
        finally:
            one.drop()
        assert stat.S_IMODE(path.stat().st_mode) == wanted


@pytest.mark.parametrize("kind", ["link", "file", "pipe"])
def test_what_has_the_name_of_the_draft_is_not_touched(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if another user of the folder had guessed it."""
    monkeypatch.setattr(os, "urandom", bytes)
    victim, planted = tmp_path / "victim", tmp_path / f".ktjob-{bytes(8).hex()}"
    victim.write_text("precious")
    if kind == "link":
        planted.symlink_to(victim)
    elif kind == "file":
        planted.write_text("theirs")
    else:
        os.mkfifo(planted)
    with pytest.raises(FileExistsError):
        draft.write(tmp_path / "answer", "new")
    assert victim.read_text() == "precious" and os.path.lexists(planted)
    assert not (tmp_path / "answer").exists()


def test_an_error_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    """The limit on file sizes is a real error of a write."""
    path = tmp_path / "answer"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            draft.write(path, "new" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """Where only one process at a time writes the file; other drafts stay."""
    path = tmp_path / "record.json"
    for name in (".record.json.0123", ".record.json.4567", ".other.0123"):
        (tmp_path / name).touch()
    draft.write(path, "new", prefix=draft.prefix_of(path))
    assert sorted(one.name for one in tmp_path.iterdir()) == [".other.0123", "record.json"]


def test_other_handlers_stay(tmp_path: Path) -> None:
    """A program that handles or ignores a signal goes on doing so."""
    heard: list[int] = []
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: heard.append(number)),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        # A shell starts what stands before its & with this one ignored.
        signal.SIGQUIT: signal.signal(signal.SIGQUIT, signal.SIG_DFL),
    }
    try:
        with draft.removed_by_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
        assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGQUIT) is signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_replaces_nothing(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a file system without hard links, as of USB sticks."""
    if not has_links:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, "no links")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a"
    for content in (b"first", b"second"):
        one = draft.Draft(path, None)
        try:
            one.file.write(content)
            if path.exists():
                with pytest.raises(FileExistsError):
                    one.publish(replaces=False)
            else:
                one.publish(replaces=False)
        finally:
            one.drop()
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["a"]
