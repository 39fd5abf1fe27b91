"""Text of others is parsed in one place, within bounds; every other place is listed."""

from __future__ import annotations

from support import requests_made, text_parsed


def test_every_place_that_parses_text_is_known() -> None:
    """A new one uses `jobs.parsing`, or says why it needs no bounds, or has its own."""
    found = {name: text_parsed.calls(tree) for name, tree in requests_made.modules()}
    listed = {name: set(places) for name, places in text_parsed.PLACES.items()}
    assert {name: made for name, made in found.items() if made} == listed


def test_no_parser_is_used_under_another_name() -> None:
    """Or the list would not be whole."""
    assert not {n for n, tree in requests_made.modules() if text_parsed.bare_imports(tree)}
