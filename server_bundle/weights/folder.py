"""What a folder of weights holds, compared with its record: whole files, files to check, missing
ones, and what is there besides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from server_bundle.doctor.facts import fetched
from server_bundle.doctor.facts.fetched import Listed, Record
from server_bundle.errors import FetchRefused

PARTIAL = "partial"
"""The folder of files that are not whole yet, in that of the record."""
_NAMED = 5


@dataclass(frozen=True)
class Content:
    """The wanted files by their state; `missing_bytes` without what partial files hold."""

    whole: tuple[str, ...]
    to_check: tuple[str, ...]
    missing: tuple[str, ...]
    missing_bytes: int
    partial_bytes: int


def content_of(folder: Path, record: Record, is_checked_again: bool = False) -> Content:
    """Compare the folder with its record, by sizes and stamps only. Raises `FetchRefused` for
    links."""
    whole, to_check, missing = [], [], []
    missing_bytes = partial_bytes = 0
    for path, one in record.wanted.items():
        seen = fetched.stamp(place_in(folder, path))
        if seen is not None and seen == one.checked and not is_checked_again:
            whole.append(path)
        elif seen is not None and seen.size == one.size:
            to_check.append(path)
        else:
            missing.append(path)
            have = _partial_bytes(folder, path, one)
            partial_bytes += have
            missing_bytes += one.size - have
    return Content(tuple(whole), tuple(to_check), tuple(missing), missing_bytes, partial_bytes)


def _partial_bytes(folder: Path, path: str, one: Listed) -> int:
    seen = fetched.stamp(partial_of(folder, path, one))
    return seen.size if seen is not None and seen.size <= one.size else 0


def refuse_others(folder: Path, listed: Collection[str]) -> None:
    """Raise `FetchRefused` for a folder without a record that holds other things than files of the
    repository, as far as people can see them."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FetchRefused(f"{folder} is a file: choose another --to")
    tops = {path.partition("/")[0] for path in listed}
    others = sorted(
        one.name
        for one in folder.iterdir()
        if one.name not in tops and not one.name.startswith(".")
    )
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        raise FetchRefused(
            f"{folder} holds other things ({', '.join(others[:_NAMED])}{more}): choose a folder of "
            "its own with --to, or add --force"
        )


def refuse_replacing(folder: Path, record: Record, stale: Collection[str]) -> None:
    """Raise `FetchRefused` for a file of another size than the hub's that is not `stale`: it was
    not fetched here, or was changed since."""
    changed = []
    for path, one in record.wanted.items():
        seen = fetched.stamp(place_in(folder, path))
        if seen is not None and seen.size != one.size and path not in stale:
            changed.append(f"{path} ({seen.size:,} bytes, {one.size:,} on the hub)")
    if changed:
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        raise FetchRefused(
            f"{folder} holds files that differ from the hub's: {', '.join(changed[:_NAMED])}{more}."
            " Move them away, or replace them with --force"
        )


def partial_of(folder: Path, path: str, listed: Listed) -> Path:
    """The partial file of one file. It is named by the content that it will have, so it stays valid
    when the revision moves."""
    content = listed.sha256 or listed.git_sha1
    name = hashlib.sha256(path.encode()).hexdigest()[:12]
    return folder / fetched.FOLDER / PARTIAL / f"{content[:40]}-{name}"


def place_in(folder: Path, path: str) -> Path:
    """Where a file of the repository belongs. Raises `FetchRefused` for a way through a link."""
    target = folder
    for part in path.split("/"):
        target = target / part
        if target.is_symlink():
            raise FetchRefused(
                f"{target} is a symbolic link, which may lead out of the folder: remove it, or "
                "choose another --to"
            )
    return target


def make_parents(folder: Path, target: Path) -> None:
    """Make the folders between, each with the mode of `folder`."""
    missing = []
    parent = target.parent
    while parent != folder and not parent.is_dir():
        missing.append(parent)
        parent = parent.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        one.chmod(folder.stat().st_mode & 0o777)
