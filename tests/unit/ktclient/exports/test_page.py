"""HTML: one page that stands alone, in which nothing of a model or a document runs."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from support.ended_jobs import RECORD, record

from ktclient.exports import page
from ktclient.exports.record import Exported

EVIL = "</pre></div><script>alert(1)</script><img src=x onerror=alert(2)>\"' &amp; \x1b]0;\x07"


class Tags(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def html(*records: Exported) -> str:
    return "".join(page.pieces(records, [(one.id, one.document.name) for one in records]))


@pytest.mark.promise
def test_nothing_that_a_model_or_a_document_wrote_is_an_element() -> None:
    """In any field; and the policy of the page allows no script and no request."""
    fields = ("answer", "thoughts", "instruction", "model", "server", "label", "group", "message")
    parts = ({"part": EVIL, "state": EVIL, "title": EVIL, "start": 0, "end": 1},)
    evil = record(name=EVIL, text=EVIL, parts=parts, remarks=(EVIL,), **dict.fromkeys(fields, EVIL))
    found = Tags(html(evil, record(id="a2345678")))
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "img", "iframe", "link", "object", "form", "base"}
    attributes = {name for _, attrs in found.tags for name in attrs}
    assert attributes <= {
        *("lang", "charset", "http-equiv", "content", "name", "id", "class", "href")
    }
    assert all(str(attrs["href"]).startswith("#") for _, attrs in found.tags if "href" in attrs)
    policy = [attrs for _, attrs in found.tags if attrs.get("http-equiv")]
    assert policy[0]["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert found.text.count("<script>alert(1)</script>") > 10
    assert "\x1b" not in found.text and "\x07" not in found.text


def test_several_answers_have_a_table_of_contents_that_leads_to_them() -> None:
    """One alone has none."""
    both = Tags(html(RECORD, record(id="a2345678")))
    ids = {str(attrs["id"]) for _, attrs in both.tags if "id" in attrs}
    links = {str(attrs["href"]) for _, attrs in both.tags if "href" in attrs}
    assert ids == {"k7m2p9qx", "a2345678"} and links == {f"#{one}" for one in ids}
    alone = html(RECORD)
    assert "<nav>" not in alone and "<h1>1 answer</h1>" in alone
    assert re.search(r"@media print", alone) and alone.endswith("</html>\n")
