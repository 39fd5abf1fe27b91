"""Lock files: the exact wheels of one engine's version for one Python.

A lock is a pip requirements file, so pip and uv install from it as it is. Its header, lines
`#: KEY VALUE`, says what the wheels need of a machine; the comment above each requirement names
the wheel's file and its size in bytes:

    #: engine sglang-kt
    # kt_kernel-0.7.2-cp312-cp312-manylinux_2_35_x86_64.whl 101509084
    kt-kernel==0.7.2 --hash=sha256:…

`tests/locks/make_locks.py` makes them.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from server_bundle.errors import NoSuchLock
from server_bundle.plan.version_rules import is_version, order

LOCKS = Path(__file__).parent / "locks"
"""The folder of the locks that come with the package."""
CUDA, CPU = "cuda", "cpu"

_FIRST_IMPORT = re.compile(r"(\d+) (\d+) (\S.*)")
_WHEEL = re.compile(r"# (\S+\.whl) (\d+)")
_REQUIREMENT = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)==(\S+) --hash=sha256:([0-9a-f]{64})")
_REPEATED = ("override", "instruction")
"""Keys of the header that may come more than once."""
_ONCE = (
    *("engine", "version", "python", "variant", "cuda", "driver", "glibc", "date", "unpacked"),
    "first-import",
)
_MUST = ("engine", "version", "python", "variant", "glibc", "date", "unpacked")


@dataclass(frozen=True)
class Wheel:
    """One wheel, by its exact file."""

    name: str
    """The package's name, normalized (lower case, `-` between words)."""
    version: str
    file: str
    """Its file name on the package index."""
    size: int
    """Bytes."""
    sha256: str
    """64 hexadecimal digits."""


@dataclass(frozen=True)
class FirstImport:
    """What the first import of a package writes beside it, after the installation."""

    written: int
    """Bytes that stay."""
    room: int
    """Bytes that must be free for it, or it refuses."""
    reason: str
    """Which package, why, and the source in brackets."""


@dataclass(frozen=True)
class Lock:
    """A lock file's content."""

    engine: str
    version: str
    python: str
    """`3.12`."""
    variant: str
    """`cuda` or `cpu`."""
    cuda: str | None
    """The CUDA toolkit that torch is built for, `12.8`; None for `cpu`."""
    driver: str | None
    """The oldest NVIDIA driver that runs that CUDA version, `525.60.13`; None for `cpu`."""
    glibc: str
    """The oldest glibc that all wheels run with, `2.35`."""
    instructions: tuple[str, ...]
    """CPU instructions that its code must find, as /proc/cpuinfo names them."""
    unpacked: int
    """Bytes of all files when installed, without compiled `.pyc` files."""
    first_import: FirstImport | None
    date: str
    """When the versions were resolved, `2026-11-30`."""
    overrides: tuple[str, ...]
    """What differs from the packages' own metadata, and why; each a sentence."""
    wheels: tuple[Wheel, ...]
    path: Path

    @property
    def name(self) -> str:
        """Its file's name without the suffix, `sglang-kt-0.7.2-cp312`."""
        tail = "" if self.variant == CUDA else f"-{self.variant}"
        return f"{self.engine}-{self.version}-cp{self.python.replace('.', '')}{tail}"

    @property
    def used(self) -> int:
        """Bytes on disk once the engine has been imported."""
        return self.unpacked + (self.first_import.written if self.first_import else 0)

    @property
    def fetched(self) -> int:
        """Bytes of all wheels."""
        return sum(wheel.size for wheel in self.wheels)


@dataclass
class _Reading:
    """What the lines so far hold."""

    once: dict[str, str] = field(default_factory=dict)
    repeated: dict[str, list[str]] = field(default_factory=lambda: {key: [] for key in _REPEATED})
    file: tuple[str, int] | None = None
    """The wheel's file and size, when the next line must be its requirement."""
    wheels: list[Wheel] = field(default_factory=list)

    def line(self, line: str) -> None:
        """Take in one line. Raises `ValueError` for one that cannot be here."""
        if self.file is not None:
            self._requirement(line, *self.file)
        elif line.startswith("#: "):
            self._header(line)
        elif wheel := _WHEEL.fullmatch(line):
            self.file = wheel[1], int(wheel[2])
        elif line and not line.startswith("#"):
            raise ValueError("no comment above it names the wheel's file and size")

    def _requirement(self, line: str, file: str, size: int) -> None:
        found = _REQUIREMENT.fullmatch(line)
        if found is None:
            raise ValueError(f"after {file} must come NAME==VERSION --hash=sha256:64 DIGITS")
        name, version, digest = found.groups()
        stem = f"{name.replace('-', '_')}-{version.replace('-', '_')}-"
        if not _normal(file).startswith(_normal(stem)):
            raise ValueError(f"{file} is not a wheel of {name} {version}")
        if any(wheel.name == name for wheel in self.wheels):
            raise ValueError(f"{name} is there twice")
        self.wheels.append(Wheel(name, version, file, size, digest))
        self.file = None

    def _header(self, line: str) -> None:
        key, _, value = line[len("#: ") :].partition(" ")
        if key in _REPEATED:
            self.repeated[key].append(value)
        elif key not in _ONCE or not value:
            raise ValueError(f"{key!r} is not a line of the header")
        elif key in self.once:
            raise ValueError(f"{key} is there twice")
        else:
            self.once[key] = value


def read(path: Path) -> Lock:
    """The lock in a file. Raises `ValueError`, which names the file and the line, and `OSError`."""
    reading, lines = _Reading(), path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            reading.line(line.rstrip())
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    try:
        return _lock(path, reading)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _lock(path: Path, reading: _Reading) -> Lock:
    once, absent = reading.once, [key for key in _MUST if key not in reading.once]
    if absent:
        raise ValueError(f"the header lacks {', '.join(absent)}")
    if reading.file is not None or not reading.wheels:
        raise ValueError("it ends before its last wheel")
    if once["variant"] not in (CUDA, CPU):
        raise ValueError(f"variant is {once['variant']!r}, not {CUDA} or {CPU}")
    if not is_version(once["version"]) or not once["unpacked"].isdecimal():
        raise ValueError("version or unpacked (bytes) is not a number")
    return Lock(
        engine=once["engine"],
        version=once["version"],
        python=once["python"],
        variant=once["variant"],
        cuda=once.get("cuda"),
        driver=once.get("driver"),
        glibc=once["glibc"],
        instructions=tuple(reading.repeated["instruction"]),
        unpacked=int(once["unpacked"]),
        first_import=_first_import(once.get("first-import")),
        date=once["date"],
        overrides=tuple(reading.repeated["override"]),
        wheels=tuple(reading.wheels),
        path=path,
    )


def _first_import(text: str | None) -> FirstImport | None:
    if text is None:
        return None
    found = _FIRST_IMPORT.fullmatch(text)
    if found is None:
        raise ValueError("first-import is not BYTES THAT STAY, BYTES FREE and the reason")
    return FirstImport(int(found[1]), int(found[2]), found[3])


@cache
def known(folder: Path = LOCKS) -> tuple[Lock, ...]:
    """All locks of a folder, by engine, then the newest version and Python first.

    Raises `ValueError` for a bad file (of ours: a bug)."""
    locks = [read(path) for path in folder.glob("*.txt")]
    locks.sort(key=lambda one: (order(one.version), order(one.python)), reverse=True)
    return tuple(sorted(locks, key=lambda one: one.engine))


def find(
    engine: str,
    version: str | None = None,
    python: str | None = None,
    variant: str = CUDA,
    folder: Path = LOCKS,
) -> Lock:
    """The lock of an engine: of its newest version, and for the newest Python, where None.

    Raises `NoSuchLock`, which names those that there are."""
    of_engine = [one for one in known(folder) if one.engine == engine and one.variant == variant]
    for one in of_engine:
        if version in (None, one.version) and python in (None, one.python):
            return one
    asked = f"{engine} {version or ''}".rstrip() + (f" on Python {python}" if python else "")
    if not of_engine:
        engines = sorted({one.engine for one in known(folder) if one.variant == variant})
        close = difflib.get_close_matches(engine, engines, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise NoSuchLock(f"there is no lock file for {asked}, only for {_list(engines)}.{hint}")
    theirs = _list([f"{one.version} on Python {one.python}" for one in of_engine])
    raise NoSuchLock(f"there is no lock file for {asked}. Of {engine} there are {theirs}")


def _list(words: list[str]) -> str:
    return ", ".join(words) or "nothing"


def _normal(file: str) -> str:
    return re.sub(r"[-_.]+", "-", file).lower()
