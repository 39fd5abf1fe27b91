"""A hub of models on loopback that speaks the wire of huggingface.co and of modelscope.cn, as
`huggingface_hub` 2.4 and `modelscope-hub` 0.5 use it, and can cut, delay and damage what it sends.

Files of LFS lie at another address (`localhost` instead of 127.0.0.1), as a hub's storage does.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

_BLOCK = 1 << 14


@dataclass
class Fault:
    """What happens to the next answer with a file's bytes. `after`: so many bytes are sent before
    the connection is cut; `status` instead of an answer; `change` damages the bytes; `hold` is
    waited for after `after` bytes."""

    after: int | None = None
    status: int | None = None
    retry_after: str = ""
    change: Callable[[bytes], bytes] | None = None
    hold: threading.Event | None = None


@dataclass
class Repo:
    """`commits`: id -> path -> content. `access`: "" for all, "gated", "private". `sizes`: what the
    list says instead of the true size."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    access: str = ""
    sizes: dict[str, int] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], revision: str = "main") -> str:
        """A new commit of a branch; returns its id."""
        sha = hashlib.sha1(repr((revision, sorted(files.items()))).encode()).hexdigest()
        self.commits[sha] = files
        self.revisions[revision] = sha
        return sha

    def at(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.revisions.get(revision)


class ModelHub:
    """The hub. `token`: the one that may read what is gated or private. `sent`: bytes of each path;
    `asked`: (method, path, Range, Authorization) of each request."""

    token = "hf_" + "z" * 30

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.faults: dict[str, deque[Fault]] = {}
        self.sent: Counter[str] = Counter()
        self.asked: list[tuple[str, str, str, str]] = []
        self.lock = threading.Lock()
        self.some_sent = threading.Condition(self.lock)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def fail(self, path: str, *faults: Fault) -> None:
        """The next answers for a file."""
        with self.lock:
            self.faults.setdefault(path, deque()).extend(faults)

    def next_fault(self, path: str) -> Fault:
        with self.lock:
            queue = self.faults.get(path)
            return queue.popleft() if queue else Fault()

    def wait_sent(self, path: str, size: int, seconds: float) -> None:
        """Until so many bytes of a file were sent."""
        with self.some_sent:
            assert self.some_sent.wait_for(lambda: self.sent[path] >= size, seconds)

    @property
    def environment(self) -> dict[str, str]:
        """For a process that shall use this hub."""
        return {"HF_ENDPOINT": self.url, "MODELSCOPE_ENDPOINT": self.url}


@contextmanager
def model_hub() -> Iterator[ModelHub]:
    """A running hub."""
    hub = ModelHub()
    thread = threading.Thread(target=hub.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()


def is_lfs(path: str) -> bool:
    return path.endswith((".safetensors", ".gguf", ".bin"))


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _handler(hub: ModelHub) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        model_hub = hub

    return Handler


_HF_API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?")
_HF_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_MS_API = re.compile(r"/api/v1/models/([^/]+/[^/]+)/repo(/files)?")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model_hub: ModelHub

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, parts = self.model_hub, urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        given = self.headers.get("Authorization", "")
        with hub.lock:
            hub.asked.append((self.command, path, self.headers.get("Range", ""), given))
        if path.startswith("/cdn/"):
            self._storage(path)
        elif (found := _MS_API.fullmatch(path)) is not None:
            self._modelscope(found[1], bool(found[2]), query)
        elif path == "/api/models":
            words = query.get("search", [""])[0].lower()
            self._json([{"id": name} for name in hub.repos if words in name.lower()])
        elif (found := _HF_API.fullmatch(path)) is not None:
            self._hf_api(found[1], found[2], found[3])
        elif (found := _HF_FILE.fullmatch(path)) is not None:
            self._hf_file(found[1], found[2], found[3])
        else:
            self._json({"error": "no such page"}, 404)

    def _repo(self, name: str, is_file: bool) -> Repo | None:
        repo = self.model_hub.repos.get(name)
        has_token = self.headers.get("Authorization") == f"Bearer {self.model_hub.token}"
        has_any = bool(self.headers.get("Authorization"))
        if repo is None or (repo.access == "private" and not has_token):
            status = 404 if has_any else 401
            self._json({"error": "Repository not found"}, status, {"X-Error-Code": "RepoNotFound"})
            return None
        if repo.access == "gated" and is_file and not has_token:
            status = 403 if has_any else 401
            self._json({"error": "gated"}, status, {"X-Error-Code": "GatedRepo"})
            return None
        return repo

    def _hf_api(self, name: str, what: str | None, revision: str | None) -> None:
        repo = self._repo(name, is_file=False)
        if repo is None:
            return
        commit = repo.at(revision or "main")
        if commit is None:
            words = {"X-Error-Code": "RevisionNotFound"}
            self._json({"error": "Invalid rev id"}, 404, words)
            return
        if what != "tree":
            self._json({"id": name, "sha": commit, "siblings": []})
            return
        files = repo.commits[commit].items()
        self._json([_entry(path, content, repo.sizes.get(path)) for path, content in files])

    def _hf_file(self, name: str, revision: str, path: str) -> None:
        repo = self._repo(name, is_file=True)
        if repo is None:
            return
        commit = repo.at(revision)
        content = repo.commits[commit].get(path) if commit else None
        if commit is None or content is None:
            self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if not is_lfs(path):
            self._bytes(path, content, {**headers, "ETag": f'"{blob_id(content)}"'})
            return
        digest = hashlib.sha256(content).hexdigest()
        place = f"http://localhost:{self.model_hub.port}/cdn/{name}/{commit}/{path}"
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        self._send(302, {**headers, "Location": place, "Content-Length": "0"})

    def _storage(self, path: str) -> None:
        owner, name, commit, file = path.removeprefix("/cdn/").split("/", 3)
        self._bytes(file, self.model_hub.repos[f"{owner}/{name}"].commits[commit][file], {})

    def _modelscope(self, name: str, is_list: bool, query: dict[str, list[str]]) -> None:
        repo = self.model_hub.repos.get(name)
        commit = repo.at(query["Revision"][0]) if repo else None
        if repo is None or commit is None:
            self._json({"Code": 10010205001, "Message": "not found", "Success": False}, 404)
        elif repo.access and self.headers.get("Authorization") != f"Bearer {self.model_hub.token}":
            self._json({"Code": 10010101001, "Message": "no access", "Success": False}, 403)
        elif is_list:
            files = [
                {
                    "Path": path,
                    "Name": path.rpartition("/")[2],
                    "Type": "blob",
                    "Size": len(content),
                    "Sha256": hashlib.sha256(content).hexdigest(),
                    "Revision": commit,
                    "IsLFS": is_lfs(path),
                }
                for path, content in repo.commits[commit].items()
            ]
            self._json({"Code": 200, "Success": True, "Data": {"Files": files}})
        else:
            path = query["FilePath"][0]
            self._bytes(path, repo.commits[commit][path], {})

    def _bytes(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        fault = Fault() if self.command == "HEAD" else self.model_hub.next_fault(path)
        if fault.status is not None:
            extra = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            self._json({"error": "later"}, fault.status, extra)
            return
        if fault.change is not None:
            content = fault.change(content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]) if asked and asked[2] else len(content) - 1, len(content) - 1)
        if asked and first >= len(content):
            self._send(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
            return
        body = content[first : last + 1]
        headers = {**headers, "Content-Length": str(len(body))}
        if asked:
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._send(206 if asked else 200, headers)
        if self.command == "GET":
            self._body(path, body, fault)

    def _body(self, path: str, body: bytes, fault: Fault) -> None:
        hub, end = self.model_hub, len(body) if fault.after is None else fault.after
        for at in range(0, min(end, len(body)), _BLOCK):
            piece = body[at : min(at + _BLOCK, end)]
            self.wfile.write(piece)
            with hub.some_sent:
                hub.sent[path] += len(piece)
                hub.some_sent.notify_all()
        self.wfile.flush()
        if fault.hold is not None:
            fault.hold.wait()
        if end < len(body):
            self.close_connection = True
            self.connection.shutdown(2)

    def _json(self, data: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(data).encode()
        headers = {**(headers or {}), "Content-Length": str(len(body))}
        self._send(status, {**headers, "Content-Type": "application/json"})
        if self.command == "GET":
            self.wfile.write(body)

    def _send(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _entry(path: str, content: bytes, size: int | None) -> dict[str, object]:
    size = len(content) if size is None else size
    entry: dict[str, object] = {"type": "file", "oid": blob_id(content), "size": size}
    if is_lfs(path):
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "size": size, "pointerSize": 134}
    return {**entry, "path": path}
