"""The input items of a response, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.store.http.store import HttpStore
from ktclient.gateway.responses import checks, input_items, stored_items
from ktclient.gateway.visibility import Visible
from ktclient.wording import quote

ASCENDING, DESCENDING = "asc", "desc"
USUAL, MOST = 20, 100


@dataclass(frozen=True)
class Page:
    """Which items are wanted."""

    limit: int
    after: str | None
    """The id of the item before the first one."""
    order: str


def read(store: HttpStore, found: Visible, page: Page) -> dict[str, Any]:
    """The list with these items. Raises `ApiError`."""
    items = stored_items.inputs(store, found.job, found.request)
    if checks.choice(page.order, "order", (ASCENDING, DESCENDING)) == DESCENDING:
        items = items[::-1]
    start = 0
    if page.after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == page.after]
        if not places:
            raise checks.wrong("after", f"there is no item {quote(page.after)} in this input")
        start = places[0] + 1
    data = [input_items.shown(item) for item in items[start : start + page.limit]]
    return {
        "object": "list",
        "data": data,
        "has_more": start + page.limit < len(items),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
