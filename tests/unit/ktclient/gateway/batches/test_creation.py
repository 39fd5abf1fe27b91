"""What a request for a batch must say."""

from __future__ import annotations

from typing import Any

import pytest

from ktclient.gateway.batches.creation import metadata, read
from ktclient.gateway.wire.errors import ApiError

GOOD: dict[str, Any] = {
    "input_file_id": "file-x",
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
}


def test_what_is_right_is_kept() -> None:
    wanted = read({**GOOD, "metadata": {"a": "b"}, "unknown": 1})
    assert wanted.metadata == {"a": "b"} and wanted.output_seconds is None
    fields = wanted.to_fields("a.jsonl")
    assert fields["input_file_id"] == "file-x" and fields["filename"] == "a.jsonl"


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("given", [None, 7, "other", ["x"], {}])
def test_what_is_wrong_is_named(name: str, given: object) -> None:
    if name == "input_file_id" and isinstance(given, str):
        return
    with pytest.raises(ApiError) as caught:
        read({**GOOD, name: given})
    assert (
        caught.value.param == name and caught.value.status == 400 and name in caught.value.message
    )


def test_metadata_is_bounded() -> None:
    assert metadata(None) is None
    assert metadata({"k" * 64: "v" * 512}) is not None
    for wrong in ({"k" * 65: "v"}, {"k": "v" * 513}, {"k": None}, [], "x"):
        with pytest.raises(ApiError):
            metadata(wrong)
