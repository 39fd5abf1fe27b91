"""JSON and TOML of others: what comes back can be walked, shown and stored; the rest is refused in
words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import parsing
from jobs.parsing import LEVELS, Unusable

pytestmark = pytest.mark.each_python

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def finite(value: object) -> bool:
    return "Infinity" not in json.dumps(value)


@given(VALUES.filter(finite))
def test_ordinary_json_comes_as_it_is(value: object) -> None:
    """Text and bytes."""
    text = json.dumps(value)
    assert parsing.of_json(text) == value == parsing.of_json(text.encode())


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_may_have_so_many_levels_and_no_more(opening: str) -> None:
    """Far beyond that, where Python's own parser gives up, it is said in the same words."""
    closing = "]" if opening == "[" else "}"

    def nested(levels: int) -> str:
        return opening * levels + "1" + closing * levels

    assert str(parsing.of_json(nested(LEVELS)))
    for levels in (LEVELS + 1, 500, 5000):
        with pytest.raises(Unusable, match=f"^it is nested more than {LEVELS} levels deep$"):
            parsing.of_json(nested(levels))


@pytest.mark.parametrize("text", ["9" * 4001, "-" + "9" * 5000, "1e999", "NaN", "-Infinity"])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    """Python's own words would name a setting of Python's."""
    with pytest.raises(Unusable) as refused:
        parsing.of_json(f"[{text}]")
    assert "number" in str(refused.value) and "sys." not in str(refused.value)
    assert parsing.of_json("[" + "9" * 4000 + "]") == [int("9" * 4000)]


def test_models_files_may_have_infinity_and_records_no_name_twice() -> None:
    """Both only where that is asked for."""
    assert parsing.of_json('{"limits": [0.0, Infinity]}', infinite=True)["limits"][1] > 1e308
    assert parsing.of_json('{"a": 1, "a": 2}') == {"a": 2}
    with pytest.raises(Unusable, match="a name twice"):
        parsing.of_json('{"a": 1, "a": 2}', unique=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + "[" * (LEVELS + 1) + "]" * (LEVELS + 1), "levels deep"),
        ("a = " + "[" * 2000 + "]" * 2000, "levels deep"),
        ("a = " + "{b = " * (LEVELS + 1) + "1" + "}" * (LEVELS + 1), "levels deep"),
        ("a." * (LEVELS + 1) + "a = 1", "levels deep"),
        ("[" + "a." * (LEVELS + 1) + "a]", "levels deep"),
        ("'a' . " * (LEVELS + 1) + "a = 1", "levels deep"),
        ("[" + "a." * 60 + "a]\n" + "b." * 60 + "b = 1", "levels deep"),
        ("a." * 200_000 + "a = 1", "levels deep"),
        ("a = " + "9" * 5000, "too large"),
        ("a = [{b = 0x" + "f" * 20 + "}]", "too large"),
        ("a = 9223372036854775808", "too large"),
    ],
)
def test_toml_is_bounded_likewise(text: str, reason: str) -> None:
    """Its keys with dots too, for which tomllib takes quadratic time."""
    with pytest.raises(Unusable, match=reason):
        parsing.of_toml(text)


def test_ordinary_toml_comes_as_it_is() -> None:
    """With dots in texts and numbers."""
    text = 'a = "' + "1.2." * 20 + '"\nb = [' + "1.5, " * 300 + "]\nc = -9223372036854775808\n"
    found = parsing.of_toml(text + "[d.e.f]\ng.h = inf")
    assert len(found["b"]) == 300 and found["d"]["e"]["f"]["g"]["h"] > 1e308


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    """And a pipe only where one is expected."""
    file = tmp_path / "f"
    file.write_text("12345")
    assert parsing.read_text(file, 5) == "12345"
    with pytest.raises(Unusable, match="more than 4 bytes"):
        parsing.read_text(file, 4)
    with pytest.raises(Unusable, match="more than 4 bytes"):
        parsing.read_text(Path("/dev/zero"), 4)
