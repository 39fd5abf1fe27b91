"""One file or page of a package index, by HTTP or from a folder, from any byte on.

It uses the standard library, because this package must not need the client's dependencies. Proxies
are those of the environment, credentials those of the URL or of ~/.netrc.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import netrc
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit, urlunsplit

from server_bundle import addresses
from server_bundle.install.index import Index, without_secrets

_AGENT = "ktserver-install (pip-compatible)"
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Statuses that may be others the next time."""


class NoAnswer(Exception):
    """Nothing came, or not all. `is_final`: it would be the same the next time."""

    def __init__(self, message: str, *, is_final: bool = False, status: int = 0) -> None:
        super().__init__(message)
        self.is_final, self.status = is_final, status


@dataclass
class Stream:
    """Bytes that arrive, from byte `start` on."""

    body: io.BufferedIOBase
    start: int
    total: int | None
    """Bytes of the whole file; None where the server does not say."""
    kind: str
    """The media type of a page."""
    url: str
    """Where it came from after redirects."""


class Requests:
    """Opens files of one index. For use by several threads."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._netrc = _netrc(index.netrc)
        self._openers = {
            (is_local, is_trusted): self._opener(is_local, is_trusted)
            for is_local in (False, True)
            for is_trusted in (False, True)
        }

    @contextmanager
    def open(self, url: str, start: int = 0, accept: str = "*/*") -> Iterator[Stream]:
        """The content of a URL or a path from byte `start` on, or from 0 where the server does not
        offer parts. Raises `NoAnswer`, also for what breaks inside of the block."""
        try:
            if urlsplit(url).scheme in ("", "file"):
                yield from _from_file(url, start)
            else:
                yield from self._from_http(url, start, accept)
        except NoAnswer:
            raise
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(url, error.code, error.reason) from None
        except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError) as error:
            raise _broken(url, error) from error
        except (ConnectionError, TimeoutError) as error:
            raise _broken(url, error) from error

    def _from_http(self, url: str, start: int, accept: str) -> Iterator[Stream]:
        bare = _without_user(url)
        host = urlsplit(bare).hostname or ""
        headers = {"User-Agent": _AGENT, "Accept": accept, "Accept-Encoding": "identity"}
        request = urllib.request.Request(bare, headers=headers)
        if start:
            request.add_header("Range", f"bytes={start}-")
        if given := self._credentials(url):
            request.add_unredirected_header("Authorization", f"Basic {given}")
        is_trusted = any(one in (host, urlsplit(bare).netloc) for one in self._index.trusted)
        opener = self._openers[addresses.is_here(host), is_trusted]
        with opener.open(request, timeout=self._index.seconds) as answer:
            begins = _begin(answer.headers.get("Content-Range")) if answer.status == 206 else 0
            total = None if answer.length is None else begins + answer.length
            kind = answer.headers.get("Content-Type") or ""
            yield Stream(cast(io.BufferedIOBase, answer), begins, total, kind, answer.url)

    def _credentials(self, url: str) -> str | None:
        """Of a Basic header: of the URL, of the index at the same host, or of ~/.netrc."""
        parts = urlsplit(url)
        same = [one for one in self._index.urls if _place(one) == _place(url)]
        for one in (url, *same):
            if urlsplit(one).username:
                user, password = urlsplit(one).username or "", urlsplit(one).password or ""
                return _basic(unquote(user), unquote(password))
        known = self._netrc.authenticators(parts.hostname or "") if self._netrc else None
        return _basic(known[0], known[2] or "") if known else None

    def _opener(self, is_local: bool, is_trusted: bool) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context()
        with contextlib.suppress(OSError):  # a path that does not exist leaves the system's
            if self._index.certificates:
                place = Path(self._index.certificates)
                context.load_verify_locations(
                    **({"capath": str(place)} if place.is_dir() else {"cafile": str(place)})
                )
            if self._index.client_certificate:
                context.load_cert_chain(self._index.client_certificate)
        if is_trusted:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context)]
        if is_local:
            handlers.append(urllib.request.ProxyHandler({}))
        elif self._index.proxy:
            both = {"http": self._index.proxy, "https": self._index.proxy}
            handlers.append(urllib.request.ProxyHandler(both))
        return urllib.request.build_opener(*handlers)


def path_of(url: str) -> Path:
    """The path of a file URL, or of a path."""
    return Path(unquote(urlsplit(url).path)) if url.startswith("file:") else Path(url).expanduser()


def _from_file(url: str, start: int) -> Iterator[Stream]:
    path = path_of(url)
    try:
        file = path.open("rb")
    except OSError as error:
        words = f"{path} cannot be read: {error.strerror}"
        raise NoAnswer(words, is_final=True, status=404) from None
    with file:
        file.seek(start)
        yield Stream(file, start, os.fstat(file.fileno()).st_size, "text/html", url)


def _refused(url: str, status: int, reason: object) -> NoAnswer:
    shown, words = without_secrets(url), f"HTTP {status} {reason}"
    if status == 407:
        words += "; the proxy wants a user and a password, in HTTPS_PROXY"
    elif status in (401, 403):
        words += "; it wants credentials: put them into the URL of the index, or into ~/.netrc"
    return NoAnswer(f"{shown}: {words}", is_final=status not in _PASSING, status=status)


def _broken(url: str, error: Exception) -> NoAnswer:
    cause = getattr(error, "reason", None) or error
    words = " ".join(str(cause).split()) or type(cause).__name__
    shown = without_secrets(url)
    if isinstance(cause, ssl.SSLCertVerificationError):
        words += ". If the index has a certificate of your organisation, set `cert` in pip.conf"
        return NoAnswer(f"{shown}: {words}", is_final=True)
    return NoAnswer(f"{shown}: {words}")


def _begin(told: str | None) -> int:
    found = re.match(r"bytes (\d+)-", told or "")
    return int(found[1]) if found else 0


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], *parts[2:]))


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2]


def _netrc(path: str | None) -> netrc.netrc | None:
    try:
        return netrc.netrc(path)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return None
