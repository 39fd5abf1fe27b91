"""Forms, however their bytes are cut."""

from __future__ import annotations

import pytest

from ktclient.gateway.files.multipart import MOST_FIELD_BYTES, Form, shown_name
from ktclient.gateway.wire.errors import ApiError

KIND = "multipart/form-data; boundary=edge"
BODY = (
    b'--edge\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n'
    b"Content-Type: application/jsonl\r\n\r\n"
    b"one\r\n--edg\r\n--edge\r\n"
    b'Content-Disposition: form-data; name="note"\r\n\r\n\xc3\xbc\r\n--edge--\r\n'
)


def read(body: bytes, at_once: int, most: int = 1000) -> tuple[Form, bytes]:
    got = bytearray()
    form = Form(KIND, "file", most, got.extend)
    for start in range(0, len(body), at_once):
        form.write(body[start : start + at_once])
    form.close()
    return form, bytes(got)


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 64, 1000])
def test_a_form_is_the_same_however_it_is_cut(at_once: int) -> None:
    form, content = read(BODY, at_once)
    assert content == b"one\r\n--edg" and form.size == len(content)
    assert form.fields == {"purpose": "batch", "note": "ü"}
    assert form.filename == "a.jsonl" and form.content_type == "application/jsonl"


def test_every_beginning_of_a_form_is_refused() -> None:
    """But for its last line end, nothing may be missing."""
    for end in range(len(BODY) - 2):
        with pytest.raises(ApiError) as caught:
            read(BODY[:end], 1000)
        assert caught.value.status == 400


def test_bounds_hold_while_it_is_read() -> None:
    got = bytearray()
    form = Form(KIND, "file", 5, got.extend)
    head = BODY[: BODY.index(b"one")]
    form.write(head + b"12345")
    with pytest.raises(ApiError) as caught:
        form.write(b"678901234567890")
    assert caught.value.status == 413 and caught.value.param == "file"
    form = Form(KIND, "file", 5, got.extend)
    form.write(b'--edge\r\nContent-Disposition: form-data; name="note"\r\n\r\n')
    with pytest.raises(ApiError, match="note"):
        form.write(b"x" * (MOST_FIELD_BYTES + 100))


@pytest.mark.parametrize(
    "kind",
    ["", "multipart/form-data", "multipart/form-data; boundary=", "text/plain; boundary=edge"],
)
def test_another_content_type_is_refused(kind: str) -> None:
    with pytest.raises(ApiError, match="multipart/form-data"):
        Form(kind, "file", 5, bytearray().extend)
    with pytest.raises(ApiError):
        Form(f"multipart/form-data; boundary={'x' * 500}", "file", 5, bytearray().extend)


def test_names_have_no_folders_and_no_control_characters() -> None:
    assert shown_name("/a/b/../c.txt") == "c.txt"
    assert shown_name("a\r\nb\x00\ud800c") == "abc"
    assert shown_name("..") == shown_name("/") == shown_name("") == "file"
