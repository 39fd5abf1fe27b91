"""Pages of package indexes, as HTML and as JSON."""

from __future__ import annotations

import json

import pytest

from server_bundle.install import index_page
from server_bundle.install.index_page import Link

URL = "https://mirror.example/simple/torch/"
HASH = "ab" * 32


def test_html_has_links_with_and_without_hashes() -> None:
    """Relative to the page or to its base; a plus sign may be encoded; other tags are passed
    over."""
    page = (
        f'<html><body><h1>x</h1><a href="../../f/torch-2.9.1%2Bcu128.whl#sha256={HASH}">'
        'x</a><a>no</a><a href="https://cdn.example/b-1.whl?sig=1#md5=0">y</a></body></html>'
    )
    assert index_page.links(page.encode(), "text/html; charset=utf-8", URL) == [
        Link("torch-2.9.1+cu128.whl", "https://mirror.example/f/torch-2.9.1%2Bcu128.whl", HASH),
        Link("b-1.whl", "https://cdn.example/b-1.whl?sig=1", None),
    ]
    based = b'<base href="https://other.example/x/"><a href="c-1.whl">c</a>'
    assert index_page.links(based, "", URL)[0].url == "https://other.example/x/c-1.whl"


def test_json_has_the_same() -> None:
    files = [{"filename": "a-1.whl", "url": "../a-1.whl", "hashes": {"sha256": HASH}}, {"url": 7}]
    found = index_page.links(
        json.dumps({"files": files}).encode(), "application/vnd.pypi.simple.v1+json", URL
    )
    assert found == [Link("a-1.whl", "https://mirror.example/simple/a-1.whl", HASH)]
    for broken in (b"[", b"[]", b'{"files": 1}'):
        with pytest.raises(ValueError):
            index_page.links(broken, "application/json", URL)


def test_names_are_normalised_as_in_urls() -> None:
    assert index_page.normalised("Sglang.KT__x") == "sglang-kt-x"
