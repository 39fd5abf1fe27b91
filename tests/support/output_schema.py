"""What `--json` may print: the schema that ships, without room for more."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "ktclient/records/schema.json").read_text(encoding="utf-8")
)
EXTENDED = ("job", "list", "result", "show")
"""Several of $defs together describe an object of these."""


def strict(name: str) -> jsonschema.Draft202012Validator:
    """One of $defs, and not a field more than it names: what is printed is to be documented."""
    schema = copy.deepcopy(SCHEMA)
    for key, definition in schema["$defs"].items():
        for node in _objects(definition):
            if node is not definition or key not in EXTENDED:
                node.setdefault("additionalProperties", False)
    del schema["anyOf"]
    return jsonschema.Draft202012Validator(
        {**schema, "allOf": [{"$ref": f"#/$defs/{name}"}], "unevaluatedProperties": False}
    )


def _objects(node: object) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [one for each in node for one in _objects(each)]
    if not isinstance(node, dict):
        return []
    below = [one for each in node.values() for one in _objects(each)]
    return [node, *below] if "properties" in node else below
