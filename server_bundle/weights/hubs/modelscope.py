"""ModelScope, by `modelscope-hub`, which the package `modelscope` itself uses since 1.38.

Its list has a SHA-256 for each file and no commit, so a fetch is pinned by these checksums. The
library's own download would need twice the space of each large file: it joins parts into a copy.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator

import modelscope_hub
from modelscope_hub import errors

from jobs import known_secrets
from server_bundle.errors import FetchFailed
from server_bundle.transfers.origin import Body, Interrupted, RemoteFile
from server_bundle.weights.hubs import hub
from server_bundle.weights.hubs.hub import Listing
from server_bundle.weights.source import Source

_BLOCK = 1 << 17
"""In bytes: what is not yet in the partial file when the connection is cut, is fetched again."""
_DEFAULT = "master"
_MODEL = "model"
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class ModelScope:
    """The hub that MODELSCOPE_ENDPOINT or MODELSCOPE_DOMAIN names, else modelscope.cn."""

    def __init__(self) -> None:
        logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL)
        self._api = modelscope_hub.HubApi()

    def token(self) -> str | None:
        return self._api.legacy.token

    def listing(self, source: Source) -> Listing:
        with self._errors(source):
            listed = self._api.legacy.list_repo_files(
                source.repo, _MODEL, source.revision or _DEFAULT
            )
        files = [_file(one) for one in listed if one.get("Type") != "tree"]
        if not files:
            raise FetchFailed(f"{source} has no files on {self._api.legacy.endpoint}")
        return Listing(source, "", hub.checked(files))

    @contextlib.contextmanager
    def body(self, source: Source, commit: str, file: RemoteFile, offset: int) -> Iterator[Body]:
        headers = {"Accept-Encoding": "identity"}
        last = min(file.size, offset + hub.PIECE_BYTES) - 1
        if offset or last < file.size - 1:
            headers["Range"] = f"bytes={offset}-{last}"
        with self._errors(source):
            response = self._api.legacy.download_stream(
                source.repo, _MODEL, file.path, source.revision or _DEFAULT, headers=headers
            )
            with contextlib.closing(response):
                found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
                pieces = response.iter_content(_BLOCK)
                if response.status_code == 206 and found is not None:
                    total = None if found[2] == "*" else int(found[2])
                    yield Body(int(found[1]), total, pieces)
                else:
                    length = response.headers.get("Content-Length", "")
                    yield Body(0, int(length) if length.isdigit() else None, pieces)

    @contextlib.contextmanager
    def _errors(self, source: Source) -> Iterator[None]:
        """The library's errors as ours. What breaks while the body is read is requests' own, an
        `OSError`; so is a full disk, which is not hidden."""
        try:
            yield
        except errors.APIError as error:
            raise self._of_status(source, error) from None
        except errors.HubError as error:
            raise Interrupted(_words(error)) from None
        except OSError as error:
            if error.errno is not None or not type(error).__module__.startswith("requests"):
                raise
            raise Interrupted(_words(error)) from None

    def _of_status(self, source: Source, error: errors.APIError) -> Exception:
        status, endpoint = error.status_code, self._api.legacy.endpoint
        if isinstance(error, errors.NotExistError) or status == 404:
            return FetchFailed(
                f"there is no model {source} on {endpoint}: check its name and its revision"
            )
        if status in (401, 403):
            how = "your token has no access" if self.token() else "it wants a token"
            return FetchFailed(
                f"ModelScope refuses {source} (HTTP {status}): {how}. Ask for access at "
                f"{endpoint}/models/{source.repo}, and set MODELSCOPE_API_TOKEN or run `ms login`"
            )
        if error.retryable or status in (408, 416, 429):
            return Interrupted(_words(error), getattr(error, "retry_after", None))
        return FetchFailed(f"ModelScope refuses {source}: {_words(error)}")


def _words(error: Exception) -> str:
    """The first line of what the library says: the others repeat the request."""
    lines = known_secrets.hide_foreign(str(error)).splitlines() or [type(error).__name__]
    return lines[0][:300]


def _file(entry: dict[str, object]) -> RemoteFile:
    path, size, digest = entry.get("Path"), entry.get("Size"), str(entry.get("Sha256") or "")
    if not isinstance(path, str) or not isinstance(size, int) or not _SHA256.fullmatch(digest):
        raise FetchFailed(f"ModelScope lists a file without size or SHA-256: {path!r}")
    return RemoteFile(path, size, sha256=digest.lower())
