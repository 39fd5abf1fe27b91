"""What the package index says of a package's files, and what is inside a wheel, without fetching it
whole: a wheel is a zip file, its table of contents is at the end, and index servers answer ranges.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import urllib.request
import zipfile
from dataclasses import dataclass
from email.parser import Parser

_JSON = "application/vnd.pypi.simple.v1+json"
"""PEP 691; the sizes and upload times are PEP 700."""
_BLOCK = 1 << 16
_TIMEOUT = 120


@dataclass(frozen=True)
class File:
    """A wheel on the index, or in a local folder."""

    name: str
    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Content:
    """What a wheel says of itself."""

    requires: tuple[str, ...]
    """Its `Requires-Dist` lines."""
    requires_python: str
    unpacked: int
    """Bytes."""
    files: dict[str, str]
    """Where each file comes to lie (relative to site-packages, `../../../bin/NAME` for programs),
    with its hash as RECORD has it; empty for a program made from an entry point."""


def address() -> str:
    """The index that pip is configured for, else pip's own default."""
    from pip._internal.models.index import PyPI

    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    configured = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return (configured or PyPI.simple_url).rstrip("/")


def wheels(package: str, index: str) -> list[File]:
    """All wheels of a package that were not yanked."""
    request = urllib.request.Request(f"{index}/{package}/", headers={"Accept": _JSON})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:
        listed = json.load(reply)["files"]
    return [
        File(one["filename"], one["url"], one["size"], one["hashes"]["sha256"])
        for one in listed
        if one["filename"].endswith(".whl") and not one.get("yanked")
    ]


def content(file: File) -> Content:
    """Read the wheel's own description, by ranges."""
    with zipfile.ZipFile(_Ranges(file.url, file.size)) as wheel:
        names = wheel.namelist()
        info = next(n[: -len("METADATA")] for n in names if _is_info(n, "METADATA"))
        metadata = Parser().parsestr(wheel.read(info + "METADATA").decode("utf-8"))
        files = _record(wheel.read(info + "RECORD").decode("utf-8"))
        if info + "entry_points.txt" in names:
            files |= _programs(wheel.read(info + "entry_points.txt").decode("utf-8"))
        return Content(
            tuple(metadata.get_all("Requires-Dist") or ()),
            metadata.get("Requires-Python") or "",
            sum(one.file_size for one in wheel.infolist()),
            files,
        )


def _is_info(name: str, last: str) -> bool:
    return name.count("/") == 1 and name.endswith(f".dist-info/{last}")


def _record(text: str) -> dict[str, str]:
    """RECORD's paths as an installer lays them."""
    import csv

    found = {}
    for path, digest, _size in csv.reader(text.splitlines()):
        if inside := re.match(r"[^/]+\.data/([^/]+)/(.*)", path):
            kind, rest = inside.groups()
            path = {"purelib": "", "platlib": "", "scripts": "../../../bin/"}.get(
                kind, f"../../../{kind}/"
            ) + rest
        if not path.endswith(".dist-info/RECORD"):
            found[path] = digest
    return found


def _programs(text: str) -> dict[str, str]:
    import configparser

    points = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    points.optionxform = str  # type: ignore[assignment, method-assign]
    points.read_string(text)
    made = points["console_scripts"] if points.has_section("console_scripts") else {}
    return {f"../../../bin/{name}": "" for name in made}


class _Ranges(io.RawIOBase):
    """A file behind HTTP, of which only the blocks that are read are fetched."""

    def __init__(self, url: str, size: int) -> None:
        super().__init__()
        self._url, self._size, self._at = url, size, 0
        self._blocks: dict[int, bytes] = {}

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, count: int = -1) -> bytes:
        end = self._size if count < 0 else min(self._at + count, self._size)
        if end <= self._at:
            return b""
        first, last = self._at // _BLOCK, (end - 1) // _BLOCK
        missing = [one for one in range(first, last + 1) if one not in self._blocks]
        if missing:
            self._fetch(missing[0], missing[-1])
        whole = b"".join(self._blocks[one] for one in range(first, last + 1))
        start, self._at = self._at - first * _BLOCK, end
        return whole[start : start + end - first * _BLOCK - start]

    def _fetch(self, first: int, last: int) -> None:
        start, end = first * _BLOCK, min((last + 1) * _BLOCK, self._size)
        headers = {"Range": f"bytes={start}-{end - 1}"}
        request = urllib.request.Request(self._url, headers=headers)
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:
            if reply.status != 206:
                raise OSError(f"{self._url}: the index answers no ranges (HTTP {reply.status})")
            data = reply.read()
        for one in range(first, last + 1):
            at = one * _BLOCK - start
            self._blocks[one] = data[at : at + _BLOCK]
