"""Which filesystem a folder is on. SQLite's write-ahead log needs memory shared between processes
of one machine: on a network filesystem it fails, or corrupts data silently."""

from __future__ import annotations

from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs"),
    *("vboxsf", "prl_fs", "fuse.vmhgfs-fuse", "fuse.juicefs", "fuse.cephfs"),
    *("gpfs", "beegfs", "fuse.sshfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse"),
}


_LOCAL_FUSE = {
    *("fuse.ext4", "fuse.ext2", "fuse.fuse2fs", "fuse.fuse-ext2", "fuse.ntfs", "fuse.ntfs-3g"),
    *("fuse.exfat", "fuse.fuse-overlayfs", "fuse.overlayfs", "fuse.gocryptfs", "fuse.encfs"),
    *("fuse.cryfs", "fuse.mergerfs", "fuse.lxcfs", "fuse.bindfs", "fuse.apfs"),
}


def network_type(path: Path, mounts: Path | None = None) -> str | None:
    """The type of the network filesystem that holds `path`; None for a local one, or where /proc
    does not list it. `path` need not exist yet."""
    kind = type_of(path, mounts)
    return kind if is_network(kind) else None


def is_network(kind: str) -> bool:
    """Whether files on this type of filesystem are certainly on another machine."""
    return kind in _NETWORK


def is_unknown_fuse(kind: str) -> bool:
    """Whether this is a FUSE filesystem that is not known to be local."""
    return kind.startswith("fuse.") and kind not in _LOCAL_FUSE


def type_of(path: Path, mounts: Path | None = None) -> str:
    """The type of the filesystem that holds `path`; empty where /proc does not list it."""
    try:
        lines = (mounts or MOUNTS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    target = path.resolve()
    best, kind = -1, ""
    for line in lines:
        # proc(5): ID parent major:minor root MOUNTPOINT options ... - TYPE source options
        before, _, after = line.partition(" - ")
        mountpoint = Path(_unescaped(before.split()[4]))
        depth = len(mountpoint.parts)
        if target.is_relative_to(mountpoint) and depth >= best:  # a later mount hides it
            best, kind = depth, after.split()[0]
    return kind


def _unescaped(mountpoint: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        mountpoint = mountpoint.replace(code, character)
    return mountpoint
