"""Numbers with their nouns, and why a file cannot be read."""

from __future__ import annotations

import json

import pytest

from ktclient import wording


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (1200, "1,200 jobs")]
)
def test_one_is_not_many(number: int, said: str) -> None:
    """Only 1 takes the noun alone."""
    assert wording.count(number, "job") == said


def test_a_plural_of_its_own() -> None:
    """Not every noun takes an s."""
    assert wording.count(1, "process", "processes") == "1 process"
    assert wording.count(3, "process", "processes") == "3 processes"


def test_a_reason_has_no_words_of_python() -> None:
    """No errno, no codec; the place is counted from 1."""
    missing = FileNotFoundError(2, "No such file or directory", "nokey")
    assert wording.reason(missing) == "No such file or directory"
    with pytest.raises(UnicodeDecodeError) as undecodable:
        b"ab\xff".decode()
    assert wording.reason(undecodable.value) == "it is not UTF-8 text (byte 3)"
    with pytest.raises(json.JSONDecodeError) as unparsable:
        json.loads("\nx")
    assert wording.reason(unparsable.value) == "it is not JSON (line 2, column 1)"
    assert wording.reason(ValueError("too long")) == "too long"
