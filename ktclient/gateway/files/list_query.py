"""Which page of a list a client asks for, and the page as OpenAI's object. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ktclient.gateway.wire.errors import ApiError
from ktclient.wording import quote


@dataclass(frozen=True)
class ListQuery:
    """`limit` objects behind the one with the id `after`."""

    limit: int
    after: str | None
    is_descending: bool

    @classmethod
    def of(cls, given: Mapping[str, str], usual: int, most: int) -> ListQuery:
        """From the parameters of a URL. Raises `ApiError`."""
        limit = given.get("limit") or str(usual)
        is_number = limit.isascii() and limit.isdigit() and len(limit) < 9
        if not is_number or not 1 <= int(limit) <= most:
            words = f"limit is {quote(limit)}; it must be a number from 1 to {most:,}"
            raise ApiError(400, words, param="limit", code="invalid_value")
        order = given.get("order") or "desc"
        if order not in ("asc", "desc"):
            words = f"order is {quote(order)}; it must be asc or desc"
            raise ApiError(400, words, param="order", code="invalid_value")
        return cls(int(limit), given.get("after") or None, order == "desc")


def envelope(found: Sequence[Mapping[str, object]], *, has_more: bool) -> dict[str, object]:
    """The list object: clients fetch on, behind the last id, while `has_more` is true."""
    return {
        "object": "list",
        "data": list(found),
        "first_id": found[0]["id"] if found else None,
        "last_id": found[-1]["id"] if found else None,
        "has_more": has_more,
    }
