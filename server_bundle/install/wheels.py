"""The wheels of a lock, fetched into a folder, each by its file name and hash.

Neither pip nor uv keeps a part of a wheel when it ends (uv #16934): a cut at 800 of 900 MB starts
torch again. Here the part is a file, and the next run asks for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from server_bundle.errors import InstallFailed
from server_bundle.install.index import Index
from server_bundle.install.lock import Lock, Wheel
from server_bundle.install.source import Source
from server_bundle.transfers import checksum
from server_bundle.transfers.file import Transfer
from server_bundle.transfers.meter import Meter
from server_bundle.transfers.origin import RemoteFile
from server_bundle.transfers.patience import Patience
from server_bundle.transfers.pool import Pool
from server_bundle.transfers.progress import Progress

STREAMS = 4
"""Wheels at a time. uv takes up to 50, so that a slow line breaks many of them (uv #18735)."""
GIVE_UP_SECONDS = 300.0
"""Without a byte of any wheel. A silent index is waited for 60 s at a time."""


def fetch(
    lock: Lock,
    folder: Path,
    index: Index,
    on_look: Callable[[Progress], None],
    say: Callable[[str], None],
) -> None:
    """Fetch what is missing. Raises `InstallFailed` and `OSError`; what has arrived stays."""
    source = Source(lock.wheels, index)
    meter = Meter(lock.fetched, len(lock.wheels), say)
    patience = Patience(meter, GIVE_UP_SECONDS, InstallFailed)
    transfer = Transfer(source.body, meter, patience, source.wrong)
    by_file = {wheel.file: wheel for wheel in lock.wheels}
    for wheel in lock.wheels:
        meter.found(there(wheel, folder))

    def one(file: RemoteFile) -> None:
        target, partial = folder / file.path, _partial(folder, file.path)
        if target.exists():
            if checksum.is_right(target, file, meter.check):
                return
            meter.lost(there(by_file[file.path], folder))
            target.unlink()
            meter.found(there(by_file[file.path], folder))
        transfer.fetch(file, partial, target)

    largest = sorted(lock.wheels, key=lambda wheel: -wheel.size)
    files = [RemoteFile(wheel.file, wheel.size, wheel.sha256) for wheel in largest]
    Pool(meter, one, InstallFailed).run(files, STREAMS, on_look)


def there(wheel: Wheel, folder: Path) -> int:
    """How many bytes of a wheel have arrived, in this run or an earlier one."""
    have = _size(folder / wheel.file) or _size(_partial(folder, wheel.file))
    return have if have <= wheel.size else 0


def _partial(folder: Path, file: str) -> Path:
    return folder / f"{file}.part"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
