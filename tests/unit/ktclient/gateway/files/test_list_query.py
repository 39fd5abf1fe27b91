"""Pages of lists."""

from __future__ import annotations

import pytest

from ktclient.gateway.files.list_query import ListQuery, envelope
from ktclient.gateway.wire.errors import ApiError


def test_a_query_without_parameters_is_the_newest_first() -> None:
    assert ListQuery.of({}, 20, 100) == ListQuery(20, None, is_descending=True)
    given = {"limit": "100", "after": "x", "order": "asc"}
    assert ListQuery.of(given, 20, 100) == ListQuery(100, "x", is_descending=False)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "²", "9" * 5000])
def test_another_limit_is_refused(limit: str) -> None:
    with pytest.raises(ApiError) as caught:
        ListQuery.of({"limit": limit}, 20, 100)
    assert caught.value.param == "limit" and caught.value.status == 400


def test_a_page_names_its_ends() -> None:
    assert envelope([], has_more=False)["last_id"] is None
    page = envelope([{"id": "a"}, {"id": "b"}], has_more=True)
    assert (page["first_id"], page["last_id"], page["has_more"]) == ("a", "b", True)
