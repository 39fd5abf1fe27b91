"""Jupyter notebooks: what people wrote and what code printed, without base64."""

from __future__ import annotations

import json

import pytest

from ktclient.documents import document as documents
from ktclient.errors import DocumentUnusable

pytestmark = pytest.mark.each_python

PICTURE = "iVBORw0KGgoAAAANSUhEUg" * 3000


def notebook(*cells: dict[str, object], **more: object) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": cells, **more}).encode()


def test_cells_and_their_text_outputs() -> None:
    """In order; code and output are set apart; colours of a terminal are none."""
    body = notebook(
        {
            "cell_type": "markdown",
            "source": ["# Tides\n", f"![m](data:image/png;base64,{PICTURE})"],
        },
        {
            "cell_type": "code",
            "source": "tide()",
            "outputs": [
                {"output_type": "stream", "text": ["high\n", "low\n"]},
                {"output_type": "execute_result", "data": {"text/plain": ["4.1"]}},
                {
                    "output_type": "display_data",
                    "data": {"image/png": PICTURE, "text/plain": "<Figure size 640x480>"},
                },
                {"output_type": "error", "traceback": ["\x1b[31mValueError\x1b[0m: ebb"]},
            ],
        },
        {"cell_type": "raw", "source": "as it is"},
        metadata={"kernelspec": {"language": "julia"}},
    )
    read = documents.from_bytes(body, "a.ipynb")
    assert read.text == (
        "# Tides\n![m](data)\n\n```julia\ntide()\n```\n\n```\nhigh\nlow\n```\n\n```\n4.1\n```\n\n"
        "```\nValueError: ebb\n```\n\nas it is\n"
    )
    assert read.read_as == "notebook, 3 cells, without 2 pictures, by ktjob"
    assert documents.from_bytes(body, "a.ipynb", raw=True).text == body.decode()


def test_a_notebook_of_long_ago() -> None:
    """Of format 3, with sheets."""
    old = {
        "nbformat": 3,
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": "Ebb"},
                    {
                        "cell_type": "code",
                        "input": ["x"],
                        "outputs": [{"output_type": "pyout", "text": ["7"], "png": PICTURE}],
                    },
                ]
            }
        ],
    }
    read = documents.from_bytes(json.dumps(old).encode(), "a.ipynb")
    assert read.text == "## Ebb\n\n```python\nx\n```\n\n```\n7\n```\n"
    assert "without 1 picture" in read.read_as


def test_json_that_is_no_notebook() -> None:
    """Is text, and if it claims to be one, refused with what to do."""
    text = '{"cells": [1], "note": "nbformat"}'
    assert documents.from_bytes(text.encode(), "t").text == text
    broken = b'{"nbformat": 4, "cells": {"cell_type": "code"}, '
    with pytest.raises(DocumentUnusable, match=r"t looks like a Jupyter notebook.*--raw"):
        documents.from_bytes(broken, "t")
