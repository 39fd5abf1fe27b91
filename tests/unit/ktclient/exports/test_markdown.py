"""Markdown: an answer as the model wrote it, all else as it is."""

from __future__ import annotations

import pytest
from support.ended_jobs import RECORD, record

from ktclient.exports import markdown

PARTS = (
    {"part": "1", "state": "SUCCEEDED", "title": "Chapter *1*", "start": 0, "end": 1200},
    {"part": "2", "state": "FAILED", "title": "", "start": 1200, "end": 2000},
    {"part": "answer", "state": "SUCCEEDED", "title": "", "start": None, "end": None},
)


def text(*records: object) -> str:
    return "".join(markdown.pieces(records))  # type: ignore[arg-type]


def test_each_answer_is_under_a_heading_with_its_facts() -> None:
    """The question, the document and its digest, the model, the server, times and tokens."""
    found = text(RECORD, record(id="a2345678", answer="**No.**\n"))
    assert found.startswith("## a.txt: Who came?\n\nIt rained.\n\n### About this answer\n\n")
    assert "\n\n## a.txt: Who came?\n\n**No.**\n\n### About" in found and found.endswith("\n")
    for fact in (
        "- job: k7m2p9qx (SUCCEEDED)",
        f"- SHA-256: {'0' * 64}",
        "- model: DeepSeek-V4-Flash",
        "- took: 3.5 s",
        "- tokens: 1,200 tokens read, 34 tokens written",
    ):
        assert fact in found


def test_what_is_not_whole_says_so_and_parts_say_where_they_are() -> None:
    """Each part of a document that [n] cites."""
    failed = text(record(state="FAILED", message="the server\ndied", cause="server_died"))
    assert "\n\n*failed: the server died*\n\n" in failed
    assert "*cut off at 100 tokens*" in text(record(figures={"finish_reason": "length"}))
    found = text(record(parts=PARTS))
    assert r"- \[1\] Chapter \*1\*, characters 0 to 1,200, succeeded" in found
    assert r"- \[2\] characters 1,200 to 2,000, failed" in found and "answer]" not in found


@pytest.mark.promise
def test_a_document_ends_no_fence_and_a_name_makes_no_markup() -> None:
    """Whatever it has in it."""
    document = "a\n```\n## b\n``````\nc\n"
    found = text(record(name="<b>*x*.txt", text=document, thoughts="~"))
    assert f"```````text\n{document}```````" in found
    assert found.startswith(r"## \<b\>\*x\*.txt: Who came?")
    assert "### Thoughts\n\n```text\n\\~\n```" not in found and "```text\n~\n```" in found
