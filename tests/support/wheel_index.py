"""A package index on this machine, as pip and uv see one: small wheels, and a server that cuts,
stalls, refuses, or serves something else."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from server_bundle.install.lock import Wheel

PIECE = 1 << 16


def make_wheel(
    folder: Path, name: str, version: str, size: int = 1000, body: str = "", **more: str
) -> Wheel:
    """Write a wheel with one module and `size` bytes that do not compress; `more` are further
    files, path -> text, with `__` for `/`."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    noise = hashlib.shake_256(f"{name} {version}".encode()).digest(size)
    files = {
        f"{module}/__init__.py": (body or f"VERSION = {version!r}\n").encode(),
        f"{module}/noise.bin": noise,
        **{path.replace("__", "/"): text.encode() for path, text in more.items()},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_record(content)},{len(content)}" for path, content in files.items()]
    record = "\n".join([*rows, f"{info}/RECORD,,", ""])
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, content in files.items():
            archive.writestr(zipfile.ZipInfo(inner), content)
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), record)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return Wheel(name, version, path.name, len(content), digest)


def _record(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def write_lock(path: Path, wheels: list[Wheel], python: str, **header: str) -> Path:
    """Write a lock file of these wheels."""
    said = {
        "engine": "sglang-kt",
        "version": "0.7.2",
        "python": python,
        "variant": "cpu",
        "glibc": "2.17",
        "date": "2026-11-30",
        "unpacked": str(sum(one.size for one in wheels)),
        **header,
    }
    lines = [f"#: {key} {value}" for key, value in said.items()]
    for one in wheels:
        lines += [
            f"# {one.file} {one.size}",
            f"{one.name}=={one.version} --hash=sha256:{one.sha256}",
        ]
    path.write_text("\n".join([*lines, ""]))
    return path


@dataclass
class WheelIndex:
    """A running index. Its faults may be changed at any time."""

    folder: Path
    """The wheels."""
    url: str = ""
    sent: dict[str, int] = field(default_factory=dict)
    """File -> bytes of its content that were sent, in all answers together."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(path, Range) of each request."""
    cut_after: dict[str, int] = field(default_factory=dict)
    """File -> bytes after which each answer breaks off."""
    hold: dict[str, threading.Event] = field(default_factory=dict)
    """File -> its answers stop after half of the bytes until this is set."""
    user: str = ""
    """"user:password", if they are wanted."""
    has_ranges: bool = True
    other_content: dict[str, bytes] = field(default_factory=dict)
    claims_hash: bool = True

    def hold_in_the_middle(self, file: str) -> threading.Event:
        """Stop each answer after half of the file."""
        return self.hold.setdefault(file, threading.Event())

    def release(self, file: str, held: threading.Event) -> None:
        """Let those answers end, and hold no further ones."""
        self.hold.pop(file, None)
        held.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    index: WheelIndex

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.index.asked.append((self.path, self.headers.get("Range") or ""))
        given = self.headers.get("Authorization") or ""
        wanted = "Basic " + base64.b64encode(self.index.user.encode()).decode()
        if self.index.user and given != wanted:
            self._answer(401, b"", {"WWW-Authenticate": "Basic"})
        elif self.path.startswith("/simple/"):
            self._page(self.path.strip("/").partition("/")[2])
        else:
            self._file(unquote(self.path.rpartition("/")[2]))

    def _page(self, project: str) -> None:
        names = [one.name for one in sorted(self.index.folder.glob("*.whl"))]
        named = [one for one in names if one.split("-")[0].replace("_", "-") == project]
        links = []
        for one in named:
            digest = hashlib.sha256((self.index.folder / one).read_bytes()).hexdigest()
            tail = f"#sha256={digest}" if self.index.claims_hash else ""
            links.append(f'<a href="../../files/{one}{tail}">{one}</a>')
        if not named:
            self._answer(404, b"", {})
            return
        page = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
        self._answer(200, page, {"Content-Type": "text/html"})

    def _file(self, name: str) -> None:
        content = self.index.other_content.get(name) or (self.index.folder / name).read_bytes()
        begin = 0
        asked = self.headers.get("Range") or ""
        if asked and self.index.has_ranges:
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
        if begin >= len(content) > 0:
            self._answer(416, b"", {})
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        self._send(name, content[begin:])

    def _send(self, name: str, rest: bytes) -> None:
        most = self.index.cut_after.get(name, len(rest))
        for at in range(0, min(most, len(rest)), PIECE):
            if (held := self.index.hold.get(name)) is not None and at >= len(rest) // 2:
                held.wait()
            piece = rest[at : min(at + PIECE, most)]
            with contextlib.suppress(ConnectionError):
                self.wfile.write(piece)
                self.index.sent[name] = self.index.sent.get(name, 0) + len(piece)
        if most < len(rest):
            self.close_connection = True

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[WheelIndex]:
    """The wheels of a folder as a simple index at http://127.0.0.1:PORT/simple."""
    index = WheelIndex(folder)

    handler = type("Handler", (_Handler,), {"index": index})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    try:
        yield index
    finally:
        for held in index.hold.values():
            held.set()
        server.shutdown()
        thread.join()
        server.server_close()


def until_sent(index: WheelIndex, name: str, least: int, seconds: float) -> None:
    """Wait until so many bytes of a file were sent."""
    give_up = time.monotonic() + seconds
    while index.sent.get(name, 0) < least:
        assert time.monotonic() < give_up, f"{name}: {index.sent.get(name, 0):,} bytes were sent"
        time.sleep(0.02)
