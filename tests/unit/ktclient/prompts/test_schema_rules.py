"""What no schema may contain is found where it stands, and nothing else is."""

from __future__ import annotations

import re
import time

import pytest

from ktclient.prompts.schema_rules import problem

pytestmark = pytest.mark.each_python

TEXT = {"type": "string"}
TREE = {"properties": {"left": {"anyOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"$dynamicRef": TEXT, "pattern": TEXT}},
        {"enum": [{"$dynamicRef": "#a"}], "const": {"pattern": "(a+)+"}},
        {"default": {"$ref": "#"}, "examples": [{"$ref": "#"}]},
        {"properties": {"child": {"$ref": "#"}}},
        {"items": {"$ref": "#"}, "additionalProperties": {"$ref": "#"}},
        {"$ref": "#/$defs/t", "$defs": {"t": TREE}},
        {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": TEXT}},
        {"$ref": "#q", "$defs": {"x": {"$anchor": "q", **TEXT}}},
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": TEXT}},
        {"$ref": "https://example.org/s", "prefixItems": [TEXT]},
        *({"pattern": one} for one in (r"^(\d+\.)*\d+$", "[(a+)+]", r"\(a+\)+", "(a+)", "(a|b)+")),
        *(
            {"pattern": one}
            for one in ("(ab+)+", "(?:a+)?", "(a{2})+", "(a{2,5})+", "(", "[", "\\")
        ),
    ],
)
def test_what_servers_follow_is_accepted(schema: dict[str, object]) -> None:
    """Recursive schemas, and data that only looks like a schema."""
    assert problem(schema) is None


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"items": {"$dynamicRef": "#a"}}, "uses $dynamicRef, which"),
        ({"$defs": {"enum": {"$recursiveRef": "#"}}}, "uses $recursiveRef, which"),
        ({"$ref": "#"}, "refers to '#', which leads back to itself"),
        ({"allOf": [{"not": {"if": {"$ref": "#/allOf/0"}}}]}, "'#/allOf/0', which leads back"),
        ({"$ref": "#a", "$anchor": "a"}, "refers to '#a', which leads back"),
        ({"items": {"$ref": "#/$defs/a%20b"}, "$defs": {"a b": {"$ref": "#/items"}}}, "leads back"),
        ({"dependentSchemas": {"a": {"$ref": "#"}}}, "leads back to itself"),
        *(
            ({"pattern": one}, "repeats a repetition")
            for one in ("^(a+)+$", "(?:[a-z]*)*", "(.*)+")
        ),
        *(({"pattern": one}, "repeats a repetition") for one in (r"x(\w+){2,}", "((?P<n>a*)*)")),
        ({"patternProperties": {"(a+)+": {}}}, "repeats a repetition"),
        ({"pattern": "a" * 1001}, "a pattern of more than 1,000 characters"),
    ],
)
def test_what_none_follows_is_named(schema: dict[str, object], words: str) -> None:
    """With what to write instead."""
    told = problem(schema)
    assert told is not None and words in told and re.search("write|Write|use|put", told)


def test_schemas_of_the_largest_size_take_no_time() -> None:
    """Each schema is entered once, however many references lead to it."""
    chain = {f"n{i}": {"allOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 2} for i in range(1000)}
    begun = time.process_time()
    assert problem({"$defs": {**chain, "n1000": TEXT}, "$ref": "#/$defs/n0"}) is None
    assert problem({"pattern": "(" * 1000}) is None
    assert time.process_time() - begun < 5
