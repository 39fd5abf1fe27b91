"""JSON bodies of clients."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from jobs import parsing
from ktclient.gateway.wire import requests
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import fields_of


def refused(body: bytes) -> str:
    with pytest.raises(ApiError) as caught:
        fields_of(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")
    return caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"a": "\xed\xa0\x80"}',
        '{"a": "b"}'.encode("utf-16"),
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}",
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_ordinary_object_is_refused(body: bytes) -> None:
    assert refused(body)


def test_a_message_repeats_nothing_of_the_body() -> None:
    assert "secret" not in refused(b'{"secret document": oops}')


def test_values_are_counted_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bytes of a body may become a hundred of memory. Punctuation in texts is no value."""
    monkeypatch.setattr(requests, "MOST_VALUES", 1000)
    for bomb in (b"[],", b"{},", b"1,", b'"",', b'"\\"",'):
        assert "more than 1,000 values" in refused(b'{"a": [' + bomb * 2000 + b"0]}")
    text = b'{"a": "' + b"[a, b], {c}; \\\\" * 5000 + b'"}'
    assert len(str(fields_of(text)["a"])) > 50_000


def test_counting_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no text ends, and with many backslashes."""
    monkeypatch.setattr(requests, "MOST_VALUES", 0)

    def seconds(body: bytes) -> float:
        start = time.process_time()
        with contextlib.suppress(parsing.Unusable):
            requests._check_values(body)
        return time.process_time() - start

    for part in (b'"\\,', b'",', b'\\"[,', b',"', b"\\\\[", b'"\\\\",'):
        seconds(part * 1000)
        assert seconds(b"[" + part * 1_000_000) < 20, part  # a hundredth, if it is linear


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (rb'{"a": "\ud800"}', "a"),
        (rb'{"a": [{"b": 1}, {"b": "x\uDFFFy"}]}', "a[1].b"),
        (rb'{"a": {"\udc00": 1}}', "a"),
        (rb'{"\ud800": 1}', None),
        (rb'{"a": "\ude00\ud83d"}', "a"),
    ],
)
def test_half_a_character_is_refused_with_its_field(body: bytes, field: str | None) -> None:
    """It could be neither stored nor shown."""
    with pytest.raises(ApiError) as caught:
        fields_of(body)
    assert (caught.value.status, caught.value.param) == (400, field)
    json.dumps(caught.value.body, ensure_ascii=False).encode()


def test_whole_characters_may_be_escaped() -> None:
    assert fields_of(rb'{"a": "\ud83d\ude00", "b": "\\ud800"}') == {
        "a": "\U0001f600",
        "b": "\\ud800",
    }
