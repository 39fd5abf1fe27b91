"""The pages of a package index, in HTML (PEP 503) or JSON (PEP 691): the files that they name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

from jobs import parsing

ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
    "text/html;q=0.01"
)
"""As pip asks (PEP 691, "Version + Format Selection")."""


@dataclass(frozen=True)
class Link:
    """One file of an index."""

    file: str
    url: str
    sha256: str | None
    """None where the page does not say it."""


def normalised(name: str) -> str:
    """A project's name as it is in the URL of its page (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def links(content: bytes, kind: str, url: str) -> list[Link]:
    """The files on a page; `kind` is its media type, `url` where it was. Raises `ValueError`."""
    if kind.split(";")[0].strip().endswith("json"):
        return _of_json(content, url)
    reader = _Anchors(url)
    reader.feed(content.decode("utf-8", errors="replace"))
    return reader.found


def _of_json(content: bytes, url: str) -> list[Link]:
    data = parsing.of_json(content)
    files = data.get("files") if isinstance(data, dict) else None
    if not isinstance(files, list):
        raise ValueError("the answer has no list of files")
    found = []
    for one in files:
        if isinstance(one, dict) and isinstance(one.get("url"), str):
            hashes = one.get("hashes")
            sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
            name = str(one.get("filename") or _name_of(one["url"]))
            found.append(Link(name, urljoin(url, one["url"]), sha256))
    return found


class _Anchors(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._base = url
        self.found: list[Link] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if target is None:
            return
        if tag == "base":
            self._base = urljoin(self._base, target)
        elif tag == "a":
            url, _, fragment = urljoin(self._base, target).partition("#")
            said = re.search(r"sha256=([0-9a-fA-F]{64})", fragment)
            self.found.append(Link(_name_of(url), url, said[1].lower() if said else None))


def _name_of(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])
