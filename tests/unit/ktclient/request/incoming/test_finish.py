from __future__ import annotations

import pytest

from ktclient.request.incoming import finish


@pytest.mark.parametrize(
    ("sent", "plain"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ({"type": "length", "length": 5}, "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("Cancelled", "abort"),
        ("eos_token", "eos_token"),
        (5, "5"),
        *((nothing, None) for nothing in (None, "", " ", "null", "None", {}, False)),
    ],
)
def test_reasons_are_in_openais_words(sent: object, plain: str | None) -> None:
    assert finish.plain(sent) == plain


def test_reasons_that_the_server_broke_off() -> None:
    assert all(map(finish.is_broken, ("error", "network_error", "insufficient_system_resource")))
    assert not any(map(finish.is_broken, ("stop", "length", "abort", "eos_token")))


def test_the_reason_of_a_choice_has_two_names() -> None:
    assert finish.of_choice({"finish_reason": None, "finishReason": "stop"}) == "stop"
    assert finish.of_choice({"delta": {}}) is None
