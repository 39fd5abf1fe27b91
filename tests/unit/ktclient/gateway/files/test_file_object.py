"""What is said of files."""

from __future__ import annotations

import pytest

from ktclient.gateway.files import file_object
from ktclient.gateway.wire.errors import ApiError


def test_lifetimes_are_those_of_openai() -> None:
    assert file_object.lifetime(None) is None
    assert file_object.lifetime({"anchor": "created_at", "seconds": 3600}) == 3600
    form = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "2592000"}
    assert file_object.lifetime_of_form({"purpose": "batch", **form}) == 2_592_000
    assert file_object.lifetime_of_form({"purpose": "batch"}) is None


@pytest.mark.parametrize(
    "given",
    [
        7,
        {},
        {"anchor": "created_at"},
        {"anchor": "other", "seconds": 3600},
        *({"anchor": "created_at", "seconds": one} for one in (3599, 2_592_001, True, "x", "²")),
    ],
)
def test_other_lifetimes_are_refused(given: object) -> None:
    with pytest.raises(ApiError) as caught:
        file_object.lifetime(given, "kept")
    assert caught.value.status == 400 and (caught.value.param or "").startswith("kept[")


def test_a_download_keeps_its_name_whatever_it_is() -> None:
    said = file_object.disposition('a"b%\\ü\U0001f600.txt')
    assert said.startswith('attachment; filename="a_b____.txt"; ')
    assert said.endswith("filename*=UTF-8''a%22b%25%5C%C3%BC%F0%9F%98%80.txt")
