"""Where each wheel of a lock is on the user's index: by its file name and its hash."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

from server_bundle.errors import InstallFailed
from server_bundle.install import index_page
from server_bundle.install.index import Index, without_secrets
from server_bundle.install.index_page import Link
from server_bundle.install.lock import Wheel
from server_bundle.install.transfer import TransferFailed, Transfers, path_of

_MOST_BYTES = 64 << 20
"""Of a page: the longest on the public index have a few million."""


class Source:
    """The user's index, asked for wheels. For use by several threads."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.transfers = Transfers(index)
        self._linked: dict[str, list[Link]] = {}
        self._lock = threading.Lock()

    def places(self, wheel: Wheel) -> list[Link]:
        """Where this wheel is, the first place first. Raises `InstallFailed` where no index has it,
        or only a file of that name with another hash; `TransferFailed` if an index gives no
        answer and no other one has the wheel."""
        others: list[str] = []
        failures: list[TransferFailed] = []
        for place in (*self.index.links, *self.index.urls):
            try:
                found = [one for one in self._links(place, wheel) if one.file == wheel.file]
            except TransferFailed as error:
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
        with self.transfers.open(place, accept=index_page.ACCEPT) as stream:
            content = stream.body.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                words = f"{without_secrets(place)}: the page has more than {_MOST_BYTES:,} bytes"
                raise TransferFailed(words, is_final=True)
            try:
                return index_page.links(content, stream.kind, stream.url)
            except ValueError as error:
                words = f"{without_secrets(place)} is no page of a package index: {error}"
                raise TransferFailed(words, is_final=True) from error


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
