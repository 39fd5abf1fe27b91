"""Answers as JSON by the user's schema: check the schema, request it, and validate the answer.

With a schema, sglang and llama.cpp generate nothing else. A server without schema support gets the
schema as text in the prompt, and models may wrap such answers into other text, so the answer is
parsed tolerantly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from jobs import parsing
from ktclient import wording
from ktclient.errors import BadInput
from ktclient.prompts import schema_rules

MOST_CHARACTERS = 100_000
"""Limit for a schema: it is sent with the document, and compiled by the server."""
_MOST_STARTS = 100
"""At most this many places are tried where the JSON may begin."""
_OPENING_FENCE = re.compile(r"```(?:json)?[ \t]*\n", re.I)
_CLOSING_FENCE = re.compile(r"\n[ \t]*```")
_STARTS = re.compile(r"[{\[]")


class NotJson(ValueError):
    """The answer contains no JSON."""


def read(name: str) -> str:
    """The schema in a file, as returned by `checked`. Raises `BadInput`."""
    shown = name if name.isprintable() else repr(name)
    try:
        with Path(name).open(encoding="utf-8-sig") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        raise BadInput(f"the schema {shown} cannot be read: {wording.reason(error)}") from None
    if len(text) > MOST_CHARACTERS:
        raise _too_long(f"the schema {shown}")
    try:
        return validate(_loads(text), f"the schema {shown}")
    except NotJson as error:
        raise BadInput(f"the schema {shown} is not JSON: {error}") from None


def validate(schema: object, name: str = "the schema") -> str:
    """A JSON Schema as normalised JSON text. Raises `BadInput` for an invalid schema, and for one
    that refers to another file: nothing is fetched."""
    if not isinstance(schema, Mapping):
        raise BadInput(f"{name} must be a JSON object, not {type(schema).__name__}")
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        text.encode()
        found: dict[str, object] = parsing.of_json(text, levels=schema_rules.MOST_LEVELS)
    except RecursionError:
        raise BadInput(f"{name} is nested too deeply") from None
    except parsing.Unusable as error:
        raise BadInput(f"{name} cannot be used: {error}") from None
    except UnicodeEncodeError:
        raise BadInput(f"{name} contains a lone surrogate, which is half a character") from None
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} is not JSON: {error}") from None
    if len(text) > MOST_CHARACTERS:
        raise _too_long(name)
    _check(found, name)
    return text


def _too_long(name: str) -> BadInput:
    return BadInput(f"{name} has more than {MOST_CHARACTERS:,} characters")


def _check(schema: dict[str, object], name: str) -> None:
    import jsonschema
    import referencing.exceptions
    import referencing.jsonschema

    if not isinstance(schema.get("$schema", ""), str):  # it chooses the check of all else
        raise BadInput(f"{name} is not a valid JSON Schema: its $schema is no text")
    if (problem := schema_rules.problem(schema)) is not None:
        raise BadInput(f"{name} {problem}")
    kind = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    reference = ""
    try:
        kind.check_schema(schema, format_checker=kind.FORMAT_CHECKER)
        root = referencing.jsonschema.DRAFT202012.create_resource(schema)
        resolver = referencing.Registry().resolver_with_root(root)
        for reference in _references(schema):
            if not reference.startswith("#"):
                raise BadInput(
                    f"{name} refers to {reference!r}: copy that into the schema, under $defs"
                )
            resolver.lookup(reference)
    except jsonschema.SchemaError as error:
        raise BadInput(f"{name} is not a valid JSON Schema: {_in_words(error)}") from None
    except referencing.exceptions.Unresolvable:
        raise BadInput(f"{name} refers to {reference!r}, which it does not contain") from None
    except RecursionError:
        raise BadInput(f"{name} is nested too deeply") from None


def _references(schema: dict[str, object]) -> Iterator[str]:
    found = (one.get("$ref") for one in schema_rules.schemas(schema))
    return (reference for reference in found if isinstance(reference, str))


def instruction(schema: str, *, chinese: bool) -> str:
    """The text after the question. Servers with schema support do not need it, but models write
    better answers with it."""
    lead = (
        "只输出一个符合下列 JSON Schema 的 JSON 值,不要输出其他内容:"
        if chinese
        else "Write one JSON value that follows this JSON Schema, and nothing else:"
    )
    return f"{lead}\n{schema}"


def response_format(schema: str) -> dict[str, object]:
    """OpenAI's `response_format`."""
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": json.loads(schema)},
    }


def data(answer: str) -> object:
    """The JSON value in an answer without thoughts: all of it, or the part between fences or other
    text. Raises `NotJson`."""
    text = answer.strip()
    try:
        return _loads(text)
    except NotJson as error:
        reason = error
    for fenced in _fenced(text):
        try:
            return _loads(fenced)
        except NotJson:
            continue
    for _, start in zip(range(_MOST_STARTS), _STARTS.finditer(text), strict=False):
        try:
            return _DECODER.raw_decode(text, start.start())[0]
        except (ValueError, RecursionError):
            continue
    raise reason


def _fenced(text: str) -> Iterator[str]:
    """What stands between fences. Where no fence closes any more, none that opens later is closed
    either: so the time is linear in the text's length."""
    at = 0
    while opening := _OPENING_FENCE.search(text, at):
        closing = _CLOSING_FENCE.search(text, opening.end())
        if closing is None:
            return
        yield text[opening.end() : closing.start()]
        at = closing.end()


def data_or_none(answer: str) -> object:
    """Like `data`; None if there is no JSON."""
    try:
        return data(answer)
    except NotJson:
        return None


def is_bare(answer: str) -> bool:
    """Whether an answer is JSON and nothing else."""
    try:
        _loads(answer)
    except NotJson:
        return False
    return True


_ANY = '{"$ref": "#/$defs/a", "$defs": {"a": {"type": "string", "pattern": "a"}}}'


def warm_up(schema: str) -> None:
    """Import what `violations` needs: between a request and its end, half an hour later, an upgrade
    may replace these modules. Not with this schema: its check may take longer than the request."""
    if schema:
        violations("null", _ANY)


_MOST_CHARACTERS = 4 << 20
_MOST_BRACKETS = 100_000
"""Of an answer that is validated: an object of two characters takes up to 230 bytes in memory. The
whole answer of a million tokens has about four million characters."""


def violations(answer: str, schema: str) -> str | None:
    """How an answer violates the schema, as text; None if it follows it."""
    import jsonschema
    import referencing

    if len(answer) > _MOST_CHARACTERS or answer.count("{") + answer.count("[") > _MOST_BRACKETS:
        return (
            f"the answer was not validated against the schema: it has more than {_MOST_BRACKETS:,} "
            f"objects and lists, or more than {_MOST_CHARACTERS:,} characters"
        )
    try:
        value = data(answer)
    except NotJson as error:
        return f"the answer is not JSON: {error}"
    wanted = json.loads(schema)
    kind = jsonschema.validators.validator_for(wanted, jsonschema.Draft202012Validator)
    try:
        # An empty registry: the default one would fetch what a schema refers to.
        found = kind(wanted, registry=referencing.Registry()).iter_errors(value)
        worst = jsonschema.exceptions.best_match(found)
    except Exception as error:  # an error of the library or a pattern must not lose the answer
        return f"the answer could not be validated against the schema: {type(error).__name__}"
    return None if worst is None else f"the answer does not follow the schema: {_in_words(worst)}"


def _in_words(error: object) -> str:
    message, path = getattr(error, "message", ""), getattr(error, "json_path", "$")
    return _short(message) if path == "$" else f"{_short(message)} (at {_short(path)})"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]} …"


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(strict=False, parse_int=parsing.whole, parse_constant=_no_constant)
"""Models put raw line ends into strings."""


def _loads(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except ValueError as error:
        raise NotJson(str(error)) from None
