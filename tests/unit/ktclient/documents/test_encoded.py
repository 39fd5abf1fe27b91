"""Base64 in a text is found, whatever carries it; words and other data are none."""

from __future__ import annotations

import base64
import json
import random

import pytest

from ktclient.documents import document as documents
from ktclient.documents import encoded

DATA = base64.b64encode(random.Random(7).randbytes(9_000)).decode()
LINES = "\n".join(DATA[place : place + 76] for place in range(0, len(DATA), 76))
PROSE = "The ferry to Mull was late, and Ann waited for it with her dog in the rain. " * 40


@pytest.mark.parametrize(
    "text",
    [
        f"![a map](data:image/png;base64,{DATA})",
        f"Content-Transfer-Encoding: base64\n\n{LINES}\n",
        json.dumps({"image/png": LINES}),
        base64.urlsafe_b64encode(base64.b64decode(DATA)).decode(),
        f"-----BEGIN CERTIFICATE-----\n{LINES}\n-----END CERTIFICATE-----\n",
    ],
)
def test_it_is_found(text: str) -> None:
    """All but the last line and what stands around it; JSON's `\\n` counts half."""
    assert 0.95 * len(DATA) < encoded.characters(text) <= 1.02 * len(DATA)


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        PROSE.replace(" ", ""),
        "ACGTTGCA" * 900,
        random.Random(1).randbytes(3_000).hex(),
        "/usr/lib/python3/site-packages/some_long_package_name/and-a-module\n" * 40,
        "红楼梦" * 900,
        "=" * 5_000 + "-" * 5_000 + "A" * 5_000,
        "getTheCurrentlySelectedElementOfTheList" * 90,
    ],
)
def test_other_text_is_none(text: str) -> None:
    """Prose, sequences, hashes, paths, lines of a table, long names."""
    assert encoded.characters(text) == 0


def test_its_share_is_said() -> None:
    """With what it means; a little of it is not worth a word."""
    text = f"{PROSE}\n{LINES}\n"
    read = documents.from_bytes(text.encode(), "a.txt")
    assert read.text == text
    (remark,) = read.remarks()
    assert remark.startswith(f"{100 * read.encoded // len(text)}% of it is base64 (")
    assert 75 < int(remark.partition("%")[0]) < 82
    key = documents.from_bytes(f"{PROSE}\n{DATA[:400]}\n".encode(), "a.txt")
    assert key.encoded == 400 and key.remarks() == ()
