"""The Hugging Face hub, by `huggingface_hub`: its endpoint, proxy, token and login file.

The bytes do not come by `hf_hub_download`: it writes to a file with a random name, so the next
process begins that file from its first byte, and it compares only sizes (huggingface_hub #4196,
#4228; findings/hf-download-restarts-files.sh). So only those parts of the library are used that
know the hub: the list, the metadata of a file with its address, and the HTTP session.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import huggingface_hub
from httpx2 import HTTPError, Response
from huggingface_hub import constants, errors, file_download
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_stream_backoff

from jobs import known_secrets
from server_bundle.errors import FetchFailed
from server_bundle.transfers.origin import Body, Contradiction, Interrupted, RemoteFile
from server_bundle.weights.hubs import hub
from server_bundle.weights.hubs.hub import Listing
from server_bundle.weights.source import Source

_BLOCK = 1 << 17
"""In bytes: what is not yet in the partial file when the connection is cut, is fetched again."""
_LATER = (408, 425, 429, 500, 502, 503, 504)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class HuggingFace:
    """The hub that HF_ENDPOINT names, else huggingface.co."""

    def __init__(self) -> None:
        huggingface_hub.utils.disable_progress_bars()
        logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
        self._api = huggingface_hub.HfApi()

    def token(self) -> str | None:
        return huggingface_hub.get_token()

    def listing(self, source: Source) -> Listing:
        with self._errors(source):
            asked = self._api.model_info(source.repo, revision=source.revision or None)
            commit = str(asked.sha)
            tree = list(self._api.list_repo_tree(source.repo, recursive=True, revision=commit))
        files = [
            RemoteFile(
                one.path,
                one.lfs.size if one.lfs else one.size,
                sha256=one.lfs.sha256 if one.lfs else "",
                git_sha1="" if one.lfs else one.blob_id,
            )
            for one in tree
            if isinstance(one, huggingface_hub.hf_api.RepoFile)
        ]
        return Listing(source, commit, hub.checked(files))

    @contextlib.contextmanager
    def body(self, source: Source, commit: str, file: RemoteFile, offset: int) -> Iterator[Body]:
        with self._errors(source):
            url = file_download.hf_hub_url(source.repo, file.path, revision=commit)
            seen = file_download.get_hf_file_metadata(url)
            if seen.size is not None and seen.size != file.size:
                raise FetchFailed(
                    f"{file.path} has {seen.size:,} bytes on the hub, but {file.size:,} by its "
                    "list: the repository is being changed. Try again later, with --update"
                )
            headers = build_hf_headers()
            if _origin(seen.location) != _origin(url):
                headers.pop("authorization", None)  # a signed address of a storage service
            headers["Accept-Encoding"] = "identity"
            last = min(file.size, offset + hub.PIECE_BYTES) - 1
            if offset or last < file.size - 1:
                headers["Range"] = f"bytes={offset}-{last}"
            with http_stream_backoff(
                "GET",
                seen.location,
                headers=headers,
                timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
                retry_on_exceptions=(),
                retry_on_status_codes=(),
            ) as response:
                hf_raise_for_status(response)
                yield _body(response)

    @contextlib.contextmanager
    def _errors(self, source: Source) -> Iterator[None]:
        """The library's errors as ours."""
        try:
            yield
        except errors.OfflineModeIsEnabled:
            raise FetchFailed("HF_HUB_OFFLINE is set: unset it to fetch") from None
        except errors.GatedRepoError as error:
            raise FetchFailed(self._gated(source, error.response.status_code)) from None
        except errors.RepositoryNotFoundError as error:
            raise FetchFailed(self._unknown(source, error.response.status_code)) from None
        except errors.RevisionNotFoundError:
            raise FetchFailed(
                f"{source.repo} has no revision {source.revision!r}: see {self._page(source)}/tree"
            ) from None
        except errors.DisabledRepoError:
            raise FetchFailed(f"the hub has disabled {source.repo}: {self._page(source)}") from None
        except errors.HfHubHTTPError as error:
            raise self._of_status(source, error) from None
        except (HTTPError, errors.FileMetadataError) as error:
            words = known_secrets.hide_foreign(str(error)) or type(error).__name__
            raise Interrupted(words) from None

    def _page(self, source: Source) -> str:
        return f"{self._api.endpoint}/{source.repo}"

    def _gated(self, source: Source, status: int) -> str:
        accept = f"accept its licence at {self._page(source)} while logged in there"
        if self.token() is None:
            return (
                f"{source.repo} is gated (HTTP {status}): {accept}, then set HF_TOKEN or run "
                "`hf auth login` with a token of that account"
            )
        return (
            f"{source.repo} is gated, and your token's account has no access (HTTP {status}): "
            f"{accept}, or wait for its author's approval; a fine-grained token also needs the "
            "right to read gated repositories"
        )

    def _unknown(self, source: Source, status: int) -> str:
        near = self._near(source)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        login = "" if self.token() else " If it is private, set HF_TOKEN or run `hf auth login`."
        return (
            f"there is no model {source.repo} on {self._api.endpoint} that you may read "
            f"(HTTP {status}): check its name.{meant}{login}"
        ).removesuffix(".")

    def _near(self, source: Source) -> list[str]:
        try:
            return [one.id for one in self._api.list_models(search=source.name, limit=3)]
        except (HTTPError, errors.HfHubHTTPError, OSError):
            return []

    def _of_status(self, source: Source, error: errors.HfHubHTTPError) -> Exception:
        status = error.response.status_code
        if status in _LATER:
            return Interrupted(f"the hub answers HTTP {status}", _after(error.response))
        if status in (401, 403):
            if self.token() is None:
                return FetchFailed(
                    f"the hub wants a login for {source.repo} (HTTP {status}): set HF_TOKEN or run "
                    "`hf auth login`"
                )
            return FetchFailed(
                f"the hub refuses your token for {source.repo} (HTTP {status}): make a new one at "
                f"{self._api.endpoint}/settings/tokens, and check that it may read this repository"
            )
        if status == 416:
            return Contradiction("the hub has fewer bytes than its list says (HTTP 416)")
        words = known_secrets.hide_foreign(error.server_message or str(error))
        return FetchFailed(f"the hub answers HTTP {status} for {source.repo}: {words[:300]}")


def _body(response: Response) -> Body:
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code == 206 and found is not None:
        total = None if found[2] == "*" else int(found[2])
        return Body(int(found[1]), total, response.iter_bytes(_BLOCK))
    length = response.headers.get("Content-Length", "")
    return Body(0, int(length) if length.isdigit() else None, response.iter_bytes(_BLOCK))


def _after(response: Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
