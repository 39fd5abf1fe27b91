"""`ktjob doctor` about the state directory, its disk and database, and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import clock
from jobs.model import Capacity, NewJob
from jobs.store.files.opening import SCHEMA_VERSION
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import doctor
from ktclient.config import settings as config
from ktclient.doctor import Finding, Machine, Severity
from server_bundle.embedded.weights import SMOLLM2

SUBMIT = NewJob("pool", "{}", b"text", "title")
Files = dict[str, str]
Look = Callable[..., Finding]


def mounted(path: Path, kind: str) -> Files:
    place = str(path).replace(" ", "\\040")
    line = f"2 1 0:2 / {place} rw,relatime shared:1 - {kind} source rw\n"
    return {"proc/self/mountinfo": "1 0 0:1 / / rw - ext4 /dev/vda rw\n" + line}


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        *((kind, "fail") for kind in ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph")),
        *((kind, "fail") for kind in ("glusterfs", "lustre", "afs", "fuse.sshfs", "fuse.unheard")),
        *((kind, "ok") for kind in ("ext4", "xfs", "fuseblk", "fuse.ext4")),
        ("fuse.gocryptfs", "ok"),
        ("tmpfs", "warn"),
        ("ramfs", "warn"),
    ],
)
def test_the_filesystem_of_the_state_directory(
    look_at: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, severity: str
) -> None:
    """Network filesystems, and FUSE ones unless they are known to be local."""
    home = tmp_path / "two words" / "state"
    monkeypatch.setenv("KTJOB_HOME", str(home))
    finding = look_at("state", mounted(home.parent, kind))
    assert finding.severity.value == severity
    assert str(home) in finding.found
    assert ("KTJOB_HOME" in (finding.cure or "")) == (severity != "ok")
    assert look_at("state", mounted(tmp_path / "two", kind)).severity is Severity.OK


def test_the_mode_of_the_state_directory(look_at: Look, state: StateDir) -> None:
    """Looked at before the database is opened, which would repair it."""
    Store.open(state).close()
    assert look_at("state").severity is Severity.OK
    state.root.chmod(0o755)
    finding = look_at("state")
    assert (finding.severity, finding.cure) == (Severity.WARN, f"chmod 700 {state.root}")
    assert "0755" in finding.found


@pytest.mark.parametrize(
    ("folder", "severity"), [("tmp", "warn"), ("var/tmp", "warn"), ("var/lib", "ok")]
)
def test_a_state_directory_where_old_files_are_swept(
    look_at: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, severity: str
) -> None:
    """systemd-tmpfiles or tmpreaper would take the database of a job that waits for ten days."""
    monkeypatch.setenv("KTJOB_HOME", str(tmp_path / "root" / folder / "me" / "jobs"))
    finding = look_at("state")
    assert finding.severity.value == severity
    assert (str(tmp_path / "root" / folder) + "," in finding.found) == (severity == "warn")


def test_a_state_directory_that_cannot_be(
    look_at: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where a folder is wanted."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KTJOB_HOME", str(tmp_path / "file" / "state"))
    finding = look_at("state")
    assert finding.severity is Severity.FAIL
    assert str(tmp_path / "file") in finding.found
    assert "KTJOB_HOME" in str(finding.cure)


@pytest.mark.parametrize(
    ("free", "severity"),
    [(199_999_999, "fail"), (200_000_000, "warn"), (999_999_999, "warn"), (10**9, "ok")],
)
def test_the_disk(look_at: Look, free: int, severity: str) -> None:
    """Free bytes where the state directory is or will be."""
    finding = look_at("disk", free=free)
    assert finding.severity.value == severity
    assert (finding.cure is None) == (severity == "ok")


def test_the_cache(look_at: Look, tmp_path: Path) -> None:
    """Room is wanted only as long as the weights are not there."""
    assert look_at("cache", free=300_000_000).severity is Severity.OK
    finding = look_at("cache", free=299_999_999)
    assert (finding.severity, str(tmp_path / "cache") in finding.found) == (Severity.WARN, True)
    weights = tmp_path / "cache" / "models" / SMOLLM2.file_name
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert look_at("cache", free=0).severity is Severity.OK


def test_a_sound_database(look_at: Look, state: StateDir) -> None:
    """Its path and its size."""
    with Store.open(state) as store:
        store.submit(SUBMIT, Capacity(slots=1))
    finding = look_at("database")
    assert finding.severity is Severity.OK
    assert f"{state.database} is intact (0." in finding.found


@pytest.mark.parametrize("page", [1, 5, 20, -1])
def test_a_damaged_database(look_at: Look, state: StateDir, page: int) -> None:
    """Whichever page is garbage, it is a finding and no traceback."""
    with Store.open(state) as store:
        for number in range(20):
            store.submit(replace(SUBMIT, document=bytes([number]) * 9000), Capacity(slots=1))
    content = bytearray(state.database.read_bytes())
    start = page * 4096 if page > 0 else len(content) - 4096
    content[start : start + 4096] = b"\xff" * 4096
    state.database.write_bytes(content)
    finding = look_at("database")
    assert finding.severity is Severity.FAIL
    assert "backup" in str(finding.cure)


def test_a_file_that_is_no_database(look_at: Look, state: StateDir) -> None:
    """Told once, although three checks open it."""
    state.database.write_text("not a database, but long enough to have a header of one" * 20)
    finding = look_at("database")
    assert finding.severity is Severity.FAIL
    assert str(state.database) in finding.found
    findings = doctor.examine(config.load(), Machine())
    assert [one.about for one in findings if one.found == finding.found] == ["database"]


def test_a_newer_database(look_at: Look, state: StateDir) -> None:
    """Its message says which ktjob to use."""
    Store.open(state).close()
    header = bytearray(state.database.read_bytes())
    header[60:64] = (SCHEMA_VERSION + 1).to_bytes(4, "big")  # sqlite.org/fileformat: user version
    state.database.write_bytes(header)
    finding = look_at("database")
    assert finding.severity is Severity.FAIL
    assert "newer ktjob" in finding.found


@pytest.mark.parametrize(
    ("at", "severity"), [("2999-01-01T00:00:00.000Z", "warn"), ("2020-01-01T00:00:00.000Z", "ok")]
)
def test_the_clock(
    look_at: Look, state: StateDir, monkeypatch: pytest.MonkeyPatch, at: str, severity: str
) -> None:
    """Also when the job from the future is not the last one."""
    with Store.open(state) as store:
        with monkeypatch.context() as then:
            then.setattr(clock, "now", lambda: at)
            store.submit(SUBMIT, Capacity(slots=1))
        store.submit(SUBMIT, Capacity(slots=1))
    finding = look_at("clock")
    assert finding.severity.value == severity
    assert (at in finding.found) == (severity == "warn")
