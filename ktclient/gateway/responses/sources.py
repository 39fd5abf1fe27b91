"""What a request may refer to: earlier responses, their items, and files. In a thread."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from jobs.model import Job, Outcome, Status
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.documents import document
from ktclient.errors import BadInput
from ktclient.gateway import ids, visibility
from ktclient.gateway.context import Caller
from ktclient.gateway.files import storage
from ktclient.gateway.responses import checks, stored_items
from ktclient.gateway.responses.output_items import job_id_of
from ktclient.gateway.wire.errors import ApiError
from ktclient.records import kinds
from ktclient.wording import quote

Fields = dict[str, Any]
PREVIOUS = "previous_response_id"
_DATA_URL = "data:"


@dataclass(frozen=True)
class StoreSources:
    """What a caller may refer to in a store, which is opened only if something is referred to."""

    state: StateDir
    caller: Caller

    def previous(self, response_id: str) -> list[Fields]:
        """All items of a conversation up to this response. Raises `ApiError`."""
        with HttpStore.open(self.state) as store:
            return self._previous(store, response_id)

    def _previous(self, store: HttpStore, response_id: str) -> list[Fields]:
        try:
            found = visibility.find(store, self.caller, response_id, ids.RESPONSE)
        except ApiError:
            words = (
                f"there is no response {quote(response_id)} that you may see. It may have been "
                "deleted, or sent with store: false, which deletes it when it was delivered"
            )
            raise checks.wrong(PREVIOUS, words, "previous_response_not_found") from None
        _require_complete(found.job, response_id)
        if found.request is not None and not found.request.is_stored:
            words = f"the response {quote(response_id)} was sent with store: false"
            raise checks.wrong(PREVIOUS, words, "previous_response_not_found")
        return stored_items.conversation(store, found.job, found.request)

    def item(self, item_id: str, param: str) -> Fields:
        """An item that an earlier response wrote. Raises `ApiError`."""
        for item in self._output(job_id_of(item_id) or ""):
            if item["id"] == item_id:
                return item
        words = f"there is no item {quote(item_id)} in a response that you may see; send it whole"
        raise checks.wrong(param, words, "item_not_found")

    def _output(self, job_id: str) -> list[Fields]:
        with HttpStore.open(self.state) as store:
            try:
                found = visibility.find(store, self.caller, job_id, ids.RESPONSE)
            except ApiError:
                return []
            return stored_items.output(store, found.job)

    def file(self, part: Fields, param: str) -> tuple[str, str]:
        """The name and the text of a file: of its data, or of one that was uploaded."""
        if part.get("file_url") is not None:
            words = "the gateway fetches nothing; send file_data or a file_id"
            raise checks.wrong(f"{param}.file_url", words, "unsupported_value")
        name = checks.text_or_none(part, "filename", f"{param}.") or "file"
        if part.get("file_data") is not None:
            where = f"{param}.file_data"
            data = checks.text(part["file_data"], where)
            return name, _text_of(_decoded(data, where), name, where)
        where = f"{param}.file_id"
        if part.get("file_id") is None:
            raise checks.wrong(where, "this is missing, and so is file_data")
        return self._uploaded(checks.text(part["file_id"], where), where)

    def _uploaded(self, file_id: str, param: str) -> tuple[str, str]:
        try:
            with HttpStore.open(self.state) as store:
                file = storage.find(store, self.caller, file_id)
        except ApiError:
            raise _no_file(file_id, param) from None
        _require_size(file.bytes, param)
        try:
            body = storage.path_of(self.state, file).read_bytes()
        except OSError:  # it was deleted meanwhile
            raise _no_file(file_id, param) from None
        return file.filename, _text_of(body, file.filename, param)


def _no_file(file_id: str, param: str) -> ApiError:
    words = f"there is no file {quote(file_id)} that you may see"
    return checks.wrong(param, words, "file_not_found")


def _require_size(size: int, param: str) -> None:
    if size > document.MOST_BYTES:
        words = f"the file has {size:,} bytes; the maximum is {document.MOST_BYTES:,}"
        raise checks.wrong(param, words, "file_too_large")


def _require_complete(job: Job, response_id: str) -> None:
    if job.status is not Status.FINISHED:
        words = f"the response {quote(response_id)} has not ended yet; wait for it"
        raise checks.wrong(PREVIOUS, words, "previous_response_not_completed")
    if job.outcome is not Outcome.SUCCEEDED:
        words = f"the response {quote(response_id)} ended as {job.state} and cannot be continued"
        raise checks.wrong(PREVIOUS, words, "previous_response_not_completed")
    if kinds.kind_of(job.spec) == kinds.BATCH:
        words = f"{quote(response_id)} is a batch, and no response"
        raise checks.wrong(PREVIOUS, words, "previous_response_not_found")


def _decoded(data: str, param: str) -> bytes:
    """The bytes of a data: URL, or of base64 alone."""
    if data.startswith(_DATA_URL):
        head, comma, data = data.partition(",")
        if not comma or not head.endswith(";base64"):
            raise checks.wrong(param, "this is no data: URL with base64")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise checks.wrong(param, "this is no base64") from None


def _text_of(body: bytes, name: str, param: str) -> str:
    _require_size(len(body), param)
    try:
        return document.from_bytes(body, document.display_name(name)).text
    except BadInput as error:
        raise checks.wrong(param, str(error)) from error
