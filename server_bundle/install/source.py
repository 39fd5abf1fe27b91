"""Where each wheel of a lock is on the user's index: by its file name and hash; and its bytes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from server_bundle.errors import InstallFailed
from server_bundle.install import index_page
from server_bundle.install.http import NoAnswer, Requests, Stream, path_of
from server_bundle.install.index import Index, without_secrets
from server_bundle.install.index_page import Link
from server_bundle.install.lock import Wheel
from server_bundle.transfers.origin import Body, Interrupted, RemoteFile
from server_bundle.transfers.patience import KEPT

_MOST_BYTES = 64 << 20
"""Of a page: the longest on the public index have a few million."""
_BLOCK = 1 << 18


class Source:
    """The user's index, asked for the wheels of a lock. For use by several threads."""

    def __init__(self, wheels: Sequence[Wheel], index: Index) -> None:
        self.index = index
        self._wheels = {wheel.file: wheel for wheel in wheels}
        self._requests = Requests(index)
        self._linked: dict[str, list[Link]] = {}
        self._from: dict[str, str] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def body(self, file: RemoteFile, offset: int) -> Iterator[Body]:
        """A wheel from a byte on, from the first place that gives an answer. Raises `InstallFailed`
        where each would be the same the next time, and `Interrupted`."""
        failures: list[NoAnswer] = []
        try:
            for link in self.places(self._wheels[file.path]):
                with contextlib.ExitStack() as opened:
                    try:
                        stream = opened.enter_context(self._requests.open(link.url, offset))
                        _refuse_page(link, stream)
                    except NoAnswer as error:
                        failures.append(error)
                        continue
                    self._from[file.path] = without_secrets(link.url)
                    yield Body(stream.start, stream.total, _pieces(stream, file, link))
                    return
        except NoAnswer as error:
            failures.append(error)
        shown = next((one for one in failures if not one.is_final), failures[0])
        if shown.is_final:
            raise InstallFailed(f"cannot fetch {file.path}: {shown}. {KEPT}")
        raise Interrupted(str(shown))

    def wrong(self, file: RemoteFile) -> str:
        """What to say of a wheel that arrived with another hash."""
        return (
            f"{file.path} from {self._from.get(file.path)} has not the hash of the lock file "
            f"(SHA-256 {file.sha256}), so it was deleted. Nothing is installed from it. Use "
            "another index, or ask its administrator"
        )

    def places(self, wheel: Wheel) -> list[Link]:
        """Where this wheel is, the first place first. Raises `InstallFailed` where no index has it,
        or only a file of that name with another hash; `NoAnswer` if an index gives no
        answer and no other one has the wheel."""
        others: list[str] = []
        failures: list[NoAnswer] = []
        for place in (*self.index.links, *self.index.urls):
            try:
                found = [one for one in self._links(place, wheel) if one.file == wheel.file]
            except NoAnswer as error:
                if error.status not in (404, 410):  # it does not have this project
                    failures.append(error)
                continue
            same = [one for one in found if one.sha256 in (None, wheel.sha256)]
            if same:
                return same
            others += [without_secrets(place) for _ in found]
        if failures:
            raise failures[0]
        raise InstallFailed(_missing(wheel, self.index, others))

    def _links(self, place: str, wheel: Wheel) -> list[Link]:
        if place in self.index.links:
            with self._lock:
                if place not in self._linked:
                    self._linked[place] = self._page(place)
            return self._linked[place]
        return self._page(f"{place.rstrip('/')}/{index_page.normalised(wheel.name)}/")

    def _page(self, place: str) -> list[Link]:
        if urlsplit(place).scheme in ("", "file"):
            folder = path_of(place)
            if folder.is_dir() and not (folder / "index.html").exists():
                return [Link(one.name, str(one), None) for one in folder.iterdir()]
            place = (folder / "index.html" if folder.is_dir() else folder).absolute().as_uri()
        with self._requests.open(place, accept=index_page.ACCEPT) as stream:
            content = stream.body.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                words = f"{without_secrets(place)}: the page has more than {_MOST_BYTES:,} bytes"
                raise NoAnswer(words, is_final=True)
            try:
                return index_page.links(content, stream.kind, stream.url)
            except ValueError as error:
                words = f"{without_secrets(place)} is no page of a package index: {error}"
                raise NoAnswer(words, is_final=True) from error


def _pieces(stream: Stream, file: RemoteFile, link: Link) -> Iterator[bytes]:
    size = stream.start
    while block := stream.body.read1(_BLOCK):  # what is there: a kill loses little
        size += len(block)
        yield block
    if size < file.size:
        shown = without_secrets(link.url)
        raise Interrupted(f"{shown} broke off after {size:,} of {file.size:,} bytes")


def _refuse_page(link: Link, stream: Stream) -> None:
    """A login page has HTTP 200 too."""
    if link.url.startswith("http") and stream.kind.startswith("text/html"):
        words = f"{without_secrets(link.url)} is a web page, not a wheel (of a proxy, or to log in)"
        raise NoAnswer(words, is_final=True)


def _missing(wheel: Wheel, index: Index, others: list[str]) -> str:
    if others:
        return (
            f"{wheel.file} on {', '.join(others)} has another hash than the lock file (SHA-256 "
            f"{wheel.sha256}): it is another file of the same name, so it was not fetched. Use "
            "another index"
        )
    return (
        f"{wheel.file} is not on {index.shown}. Use an index that has it (PIP_INDEX_URL, or "
        "index-url in pip.conf), or put the file into a folder and name that in PIP_FIND_LINKS"
    )
