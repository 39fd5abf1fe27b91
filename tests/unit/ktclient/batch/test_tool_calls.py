"""Tool calls from the pieces that servers send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ktclient.batch import tool_calls

pytestmark = pytest.mark.each_python
Piece = dict[str, Any]


def piece(
    index: object = None, call_id: object = None, name: object = None, arguments: object = None
) -> Piece:
    function = {"name": name, "arguments": arguments}
    whole = {"index": index, "id": call_id, "function": function}
    whole["function"] = {key: value for key, value in function.items() if value is not None}
    return {key: value for key, value in whole.items() if value is not None}


OF_OPENAI = [
    piece(0, "c1", "wind", ""),
    piece(0, arguments='{"at": '),
    piece(1, "c2", "tide", ""),
    piece(1, arguments='{"at": "Oban"}'),
    piece(0, arguments='"Mull"}'),
]
"""Bit by bit, and by turns."""
SAME_INDEX = [piece(0, "c1", "wind", '{"at": "Mull"}'), piece(0, "c2", "tide", '{"at": "Oban"}')]
NO_INDEX = [piece(None, "c1", "wind", '{"at": "Mull"}'), piece(None, "c2", "tide", {"at": "Oban"})]
SAME_NAME = [piece(0, None, "wind", '{"at": "Mull"}'), piece(0, None, "wind", '{"at": "Oban"}')]
"""Without ids: whole arguments and a name begin another call."""
REPEATING = [
    piece(0, "c1", "wind", '{"at": '),
    piece(0, "c1", "wind", '"}{"'),
    piece(0, "c1", "wind", "}"),
]
"""Id and name in each piece; brackets in a text are text."""
NEW_IDS = [piece(0, "c1", "wind", '{"at": '), piece(0, "c9", None, '"Mull"}')]
NO_MORE_IDS = [
    piece(None, "c1", "wind", '{"at": '),
    piece(None, None, "wind", '"Mull"'),
    piece(arguments="}"),
]
BACKWARDS = [piece(1, "c2", "tide", "{}"), piece(0, "c1", "wind", "{}")]
WIND, TIDE = ("wind", '{"at": "Mull"}'), ("tide", '{"at": "Oban"}')


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(OF_OPENAI, [WIND, TIDE], id="bit by bit"),
        pytest.param(SAME_INDEX, [WIND, TIDE], id="one index for all"),
        pytest.param(NO_INDEX, [WIND, TIDE], id="no index, arguments as an object"),
        pytest.param(SAME_NAME, [WIND, ("wind", '{"at": "Oban"}')], id="no ids"),
        pytest.param(REPEATING, [("wind", '{"at": "}{"}')], id="id and name in each piece"),
        pytest.param(NEW_IDS, [WIND], id="a new id in each piece"),
        pytest.param(NO_MORE_IDS, [WIND], id="the name again, arguments not whole"),
        pytest.param(BACKWARDS, [("wind", "{}"), ("tide", "{}")], id="in the order of the index"),
        pytest.param([piece(0, "c1", "now", {})], [("now", "{}")], id="no arguments, as an object"),
        pytest.param(
            [piece(0, "c1", "wind", {}), piece(0, arguments='{"at": "Mull"}')],
            [WIND],
            id="an empty object first",
        ),
        pytest.param([piece(0, "c1", "now")], [("now", "")], id="no arguments"),
        pytest.param([piece(0, "c1", "sum", [1, 2])], [("sum", "[1, 2]")], id="a list"),
    ],
)
@pytest.mark.parametrize("per_line", [1, 100])
def test_calls_are_joined_from_their_pieces(
    pieces: list[Piece], expected: list[tuple[str, str]], per_line: int
) -> None:
    starts = range(0, len(pieces), per_line)
    lines = "".join(json.dumps(pieces[at : at + per_line]) + "\n" for at in starts)
    found = [one["function"] for one in tool_calls.joined(lines)]
    assert [(one["name"], one["arguments"]) for one in found] == expected


def test_ids_are_kept() -> None:
    found = tool_calls.joined(json.dumps(SAME_INDEX))
    assert [one["id"] for one in found] == ["c1", "c2"]


def test_what_is_no_piece_is_passed_over() -> None:
    odd = ["call", None, 7, {"function": "wind"}, piece(0, "c1", "wind", "{}")]
    (_, call) = tool_calls.joined(json.dumps(odd))
    assert call["function"] == {"name": "wind", "arguments": "{}"}


def test_the_call_of_a_function_is_joined_apart() -> None:
    pieces = [{"name": "f", "arguments": ""}, {"arguments": '{"a":'}, {"arguments": " 1}"}]
    lines = "\n".join(json.dumps([{"function_call": piece}]) for piece in pieces)
    assert tool_calls.legacy(lines) == {"name": "f", "arguments": '{"a": 1}'}
    assert tool_calls.joined(lines) == [] and tool_calls.legacy("[5]") is None


def test_a_custom_tool_takes_text() -> None:
    pieces = [
        {"index": 0, "id": "a", "custom": {"name": "f", "input": "x "}},
        {"index": 0, "custom": {"input": "y"}},
    ]
    custom = {"name": "f", "input": "x y"}
    assert tool_calls.joined(json.dumps(pieces)) == [
        {"id": "a", "type": "custom", "custom": custom}
    ]
