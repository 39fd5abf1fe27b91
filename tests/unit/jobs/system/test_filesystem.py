"""A state directory on a network filesystem is refused, with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.errors import StoreUnusable
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.system import filesystem

MOUNTINFO = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw,relatime - nfs4 filer:/home rw,vers=4.2
31 30 254:1 / /home/local rw - xfs /dev/vdb rw
32 22 0:41 / /mnt/two\\040words rw - fuse.sshfs gpu1: rw
33 22 0:42 / /over rw - ext4 /dev/vdc rw
34 22 0:43 / /over rw - cifs //nas/over rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTINFO)
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib", None),
        ("/home/me/.local/state/ktjob", "nfs4"),
        ("/home/local/me", None),
        ("/homer", None),
        ("/mnt/two words/x", "fuse.sshfs"),
        ("/over/there", "cifs"),
    ],
)
def test_the_mount_that_holds_a_path_decides(mounts: Path, path: str, kind: str | None) -> None:
    """The deepest one, and of two in one place the later."""
    assert filesystem.network_type(Path(path), mounts) == kind


def test_where_the_kernel_does_not_tell_nothing_is_refused(tmp_path: Path) -> None:
    """No /proc: macOS, some containers."""
    assert filesystem.network_type(tmp_path, tmp_path / "absent") is None


def test_a_state_directory_there_is_refused_with_its_path_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is made in it."""
    fake = tmp_path / "mountinfo"
    fake.write_text(f"1 0 0:1 / {tmp_path} rw - nfs4 filer:/x rw\n")
    monkeypatch.setattr(filesystem, "MOUNTS", fake)
    state = StateDir(tmp_path / "state")
    with pytest.raises(StoreUnusable, match=r"nfs4.*KTJOB_HOME") as refused:
        Store.open(state)
    assert str(state.root) in str(refused.value)
    assert not state.root.exists()
