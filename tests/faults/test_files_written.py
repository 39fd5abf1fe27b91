"""Files that the product writes: whole or not at all, with the right mode, and nothing that is no
file of the user's."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import fuse_disk, plain_user, processes
from support.patience import HANG_SECONDS
from support.serving import KTSERVER, Lab

from jobs.store.state_dir import StateDir

pytestmark = pytest.mark.skipif(not plain_user.is_possible(), reason="needs setpriv")
KTJOB = (sys.executable, "-m", "ktclient")
ANSWER = "The parish had more children each year.\n"
UMASKS = (0o000, 0o002, 0o022, 0o077, 0o277, 0o777)


@pytest.fixture
def answered(ktjob_home: Path, tmp_path: Path) -> str:
    """The id of a job with an answer."""
    document = tmp_path / "report.txt"
    document.write_text("Some words.\n")
    with fake_sglang(tmp_path, "--answer", ANSWER.strip()) as server:
        done = plain_user.run(*KTJOB, "submit", "-q", str(document), "--server", server.url)
        job_id = done.stdout.strip()
        assert plain_user.run(*KTJOB, "wait", job_id).returncode == 0, done.stderr
    return job_id


def result(job_id: str, output: str | Path, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    words = ("result", job_id, "-o", str(output), "--force")
    return plain_user.run(*KTJOB, *words, umask=umask)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder for what is written."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.mark.promise
def test_a_file_keeps_its_mode_and_a_new_one_gets_what_the_umask_gives(
    answered: str, out: Path
) -> None:
    """Modes that are wider and narrower than the umask's; extended attributes stay too."""
    file = out / "answer.txt"
    file.touch()
    os.setxattr(file, "user.mine", b"x")
    for mode in (0o640, 0o600, 0o666, 0o644, 0o755):
        file.write_text("old")
        file.chmod(mode)
        assert result(answered, file).returncode == 0
        assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (ANSWER, mode)
        assert os.getxattr(file, "user.mine") == b"x"
    for umask in UMASKS:
        new = out / f"{umask:o}.txt"
        assert result(answered, new, umask).returncode == 0
        assert stat.S_IMODE(new.stat().st_mode) == 0o666 & ~umask
    assert len(list(out.iterdir())) == 1 + len(UMASKS)


@pytest.mark.promise
@pytest.mark.mount  # root may give a file to another user
def test_a_file_keeps_its_owner(answered: str, out: Path) -> None:
    """If the process may give files away; if not, its group gets no more than everybody."""
    file = out / "answer.txt"
    file.write_text("old")
    os.chown(file, 65534, 65534)
    file.chmod(0o640)
    words = [*KTJOB, "result", answered, "-o", str(file), "--force"]
    done = subprocess.run(words, check=False)
    assert done.returncode == 0
    there = file.stat()
    assert (there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode)) == (65534, 65534, 0o640)
    assert result(answered, file).returncode == 0  # without that right
    there = file.stat()
    assert (there.st_uid, stat.S_IMODE(there.st_mode)) == (0, 0o600)
    assert file.read_text() == ANSWER


@pytest.mark.promise
def test_a_link_stays_a_link_and_its_file_is_written(answered: str, out: Path) -> None:
    """A relative one, one over two links, and one to a file that does not exist yet."""
    (out / "real").mkdir()
    file = out / "real" / "answer.txt"
    file.write_text("old")
    file.chmod(0o640)
    (out / "one").symlink_to("real/answer.txt")
    (out / "two").symlink_to(out / "one")
    (out / "new").symlink_to("real/new.txt")
    for name in ("one", "two", "new"):
        assert result(answered, out / name).returncode == 0
        assert (out / name).is_symlink() and (out / name).read_text() == ANSWER
        file.write_text("old")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    (out / "round").symlink_to(out / "round")
    assert result(answered, out / "round").returncode == 2


@pytest.mark.promise
def test_what_is_no_regular_file_is_refused_without_waiting(answered: str, out: Path) -> None:
    """A pipe that nobody reads, a socket, a device, a folder; directly and through a link. They
    stay what they are."""
    os.mkfifo(out / "pipe")
    (out / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(out / "socket"))
        places = {
            out / "pipe": "a named pipe",
            out / "folder": "a folder",
            out / "socket": "a socket",
            Path("/dev/null"): "a device",
        }
        for path, words in places.items():
            link = out / f"link-{path.name}"
            link.symlink_to(path)
            kind = stat.S_IFMT(path.stat().st_mode)
            for name in (path, link):
                done = result(answered, name)
                assert done.returncode == 2 and f"it is {words}, not a regular file" in done.stderr
                assert plain_user.run(*KTJOB, "backup", str(name)).returncode != 0
            assert stat.S_IFMT(path.stat().st_mode) == kind


@pytest.mark.promise
def test_a_dash_and_open_files_are_written_to(answered: str, out: Path) -> None:
    """Stdout by its three names, and the pipe of a shell's process substitution."""
    for name in ("-", "/dev/stdout", "/dev/fd/1"):
        done = result(answered, name)
        assert (done.returncode, done.stdout) == (0, ANSWER), done.stderr
    words = " ".join((*KTJOB, "result", answered, "-o", f">(cat > {out}/piped; echo > {out}/done)"))
    ended = subprocess.run(["bash", "-c", f"{words}; wait $!"], cwd=out, check=False)
    assert ended.returncode == 0 and (out / "piped").read_text() == ANSWER
    assert not (out / "-").exists()


@pytest.mark.promise
def test_a_folder_that_takes_no_new_file_is_no_obstacle(answered: str, out: Path) -> None:
    """The file is overwritten in place, which is said. If it cannot be, it stays as it was."""
    file = out / "answer.txt"
    file.write_text("old and much longer than the answer " * 9)
    out.chmod(0o555)
    try:
        done = result(answered, file)
        assert (done.returncode, file.read_text()) == (0, ANSWER)
        assert "overwritten in place" in done.stderr
        file.chmod(0o444)
        done = result(answered, file)
        assert done.returncode == 2 and "Permission denied" in done.stderr
        assert result(answered, out / "new").returncode == 2
    finally:
        out.chmod(0o755)
    assert list(out.iterdir()) == [file]


@pytest.mark.promise
@pytest.mark.fuse
def test_a_file_system_without_modes_is_no_obstacle(
    answered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a USB stick: all files have the same mode, and a change of it is an error."""
    with fuse_disk.mounted(tmp_path, "--perms=0777", "--chmod-deny", "--chown-deny") as disk:
        file = disk.path / "answer.txt"
        for _ in range(2):  # a new file, and an old one
            assert result(answered, file, 0o077).returncode == 0
            assert file.read_text() == ANSWER
        for _ in range(2):
            done = plain_user.run(*KTJOB, "backup", str(disk.path / "copy.db"))
            assert done.returncode == 0, done.stderr
        assert {one.name for one in disk.path.iterdir()} == {"answer.txt", "copy.db"}
        monkeypatch.setenv("KTJOB_CONFIG", str(disk.path / "a" / "b"))
        for words in (("init",), ("set", "defaults.label", "mine")):
            done = plain_user.run(*KTJOB, "config", *words)
            assert done.returncode == 0, done.stderr


@pytest.mark.promise
@pytest.mark.mount
def test_a_link_that_another_user_put_into_tmp_is_not_followed(
    answered: str, out: Path, tmp_path: Path
) -> None:
    """Neither for an answer nor for a state directory: it leads where that user wants. One's own
    is followed."""
    out.chmod(0o1777)
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    for name, target in (("answer.txt", mine), ("state", tmp_path)):
        (out / name).symlink_to(target)
        os.chown(out / name, 65534, 65534, follow_symlinks=False)
    done = result(answered, out / "answer.txt")
    assert done.returncode == 2 and mine.read_text() == "precious"
    done = plain_user.run("env", f"KTJOB_HOME={out}/state/q", *KTJOB, "submit", str(mine))
    assert done.returncode != 0 and "symbolic link that another user made" in done.stderr
    os.chown(out / "answer.txt", os.getuid(), os.getgid(), follow_symlinks=False)
    assert result(answered, out / "answer.txt").returncode == 0
    assert mine.read_text() == ANSWER


_SLOW = """
import os, signal, sys
from pathlib import Path
from jobs import draft
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a shell's & has both ignored
def fsync(fd):
    print("there", flush=True)
    signal.pause()
os.fsync = fsync
draft.write(Path(sys.argv[1]), "new")
"""


@pytest.mark.promise
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_in_the_middle_leaves_the_old_file_and_no_other(
    number: signal.Signals, out: Path
) -> None:
    """And ends the process as it would have without the file."""
    file = out / "answer.txt"
    file.write_text("old")
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n" and len(list(out.iterdir())) == 2
    process.send_signal(number)
    assert process.wait(HANG_SECONDS) == -number
    process.stdout.close()
    assert list(out.iterdir()) == [file] and file.read_text() == "old"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", "words") as server:
        yield server


@pytest.mark.promise
@pytest.mark.parametrize("umask", UMASKS, ids=oct)
def test_all_that_a_queue_makes_is_private_under_any_umask(
    umask: int, tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings, the queue and its parents, a backup, the boot unit: 0700 and 0600, and all of it
    works with umasks that take the owner's own rights away."""
    document = tmp_path / "report.txt"
    document.write_text("Some words.\n")
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("KTJOB_HOME", str(own / "s/t/ktjob"))
    monkeypatch.setenv("KTJOB_CONFIG", str(own / "c/d/ktjob"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(own / "x/config"))
    monkeypatch.setenv("KTJOB_API_KEY", "k3y-of-mine")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        done = plain_user.run(*KTJOB, *words, umask=umask)
        assert done.returncode == 0, done.stderr
        return done

    try:
        run("config", "init")
        run("config", "set", "server.url", server.url)
        run("config", "set", "defaults.label", "mine")
        job_id = run("submit", str(document), "--on-done", "cat $KTJOB_RESULT").stdout.strip()
        run("wait", job_id)
        run("install-unit")
        run("backup", str(own / "copy.db"))
        assert run("result", job_id).stdout == "words\n"
        assert {path.name for path in own.iterdir()} == {"s", "c", "x", "copy.db"}
        found = {name: mode for place in own.iterdir() for name, mode in _open(place).items()}
        assert found == {}
    finally:
        processes.end_all(StateDir(own / "s/t/ktjob"))


def _open(place: Path) -> dict[str, int]:
    """Some files go while the runner works."""
    while True:
        try:
            return plain_user.modes(place)
        except FileNotFoundError:
            continue


@pytest.mark.promise
@pytest.mark.parametrize("umask", UMASKS, ids=oct)
def test_all_that_ktserver_makes_is_private_under_any_umask(
    umask: int, state: StateDir, tmp_path: Path
) -> None:
    """Plan, record, locks, logs and their folders."""
    lab = Lab(state)
    plan = lab.file(lab.plan())
    words = ("up", "--plan", plan, "--no-warm-up", "--no-check")
    done = plain_user.run(*KTSERVER, *words, umask=umask)
    assert done.returncode == 0, done.stderr
    assert _open(state.servers) == {}
    assert {"plan.json", "server.json", "server.log"} <= {
        path.name for path in state.servers.rglob("*")
    }
    down = plain_user.run(*KTSERVER, "down", umask=umask)
    assert down.returncode == 0 and _open(state.servers) == {}, down.stderr


def submit(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return plain_user.run("env", f"KTJOB_HOME={home}", *KTJOB, "submit", "-q", *words)


@pytest.mark.promise
def test_a_folder_that_others_write_to_is_no_state_directory(
    tmp_path: Path, server: FakeServer
) -> None:
    """A folder for everybody, and one with other things in it: refused with what to do, and left
    as it was. Doing that helps, and so does an empty folder, which becomes private."""
    document = tmp_path / "report.txt"
    document.write_text("Some words.\n")
    home, empty = tmp_path / "shared", tmp_path / "empty"
    home.mkdir()
    empty.mkdir()
    (home / "of-others").touch()
    to = (str(document), "--server", server.url, "--at", "+9h")
    try:
        for mode in (0o1777, 0o777, 0o775):
            home.chmod(mode)
            done = submit(home, *to)
            assert done.returncode == 1 and done.stdout == ""
            assert f"Set KTJOB_HOME to a folder in it, such as {home}/ktjob" in done.stderr
            assert (f"chmod go-w {home}" in done.stderr) == (not mode & 0o1000)
            assert stat.S_IMODE(home.stat().st_mode) == mode
            assert [one.name for one in home.iterdir()] == ["of-others"]
        assert submit(home / "ktjob", *to).returncode == 0
        home.chmod(0o755)
        assert submit(home, *to).returncode == 0
        empty.chmod(0o777)
        assert submit(empty, *to).returncode == 0
        assert _open(empty) == {} and _open(home / "ktjob") == {}
    finally:
        for one in (home, home / "ktjob", empty):
            processes.end_all(StateDir(one))


@pytest.mark.promise
@pytest.mark.parametrize("mode", [0o775, 0o777])
def test_a_queue_that_was_opened_to_others_goes_on_and_becomes_private_again(
    mode: int, state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In mid-request: no job is lost or sent twice, commands work, doctor tells, and the next
    submit takes the rights away."""
    document = tmp_path / "report.txt"
    document.write_text("Some words.\n")
    with fake_sglang(tmp_path, "--answer", "words") as server:
        server.hold()
        first = submit(state.root, str(document), "--server", server.url)
        assert server.wait_for_event("prefill_started")
        state.root.chmod(mode)
        assert plain_user.run(*KTJOB, "status").returncode == 0
        told = plain_user.run(*KTJOB, "doctor").stdout
        assert f"{state.root} has mode {mode:04o}: other users may write to it" in told
        assert f"chmod 700 {state.root}" in told
        second = submit(state.root, str(document), "--server", server.url)
        assert _open(state.root) == {}
        server.let_go()
        for one in (first, second):
            assert plain_user.run(*KTJOB, "wait", one.stdout.strip()).returncode == 0
        assert len(server.requests()) == 2
