"""Schemas of the user's: what is taken, what is found in answers, and what does not follow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ktclient.answers import thoughts
from ktclient.errors import BadInput
from ktclient.prompts import answer_schema, tasks
from ktclient.prompts.answer_schema import NotJson, data, validate, violations
from ktclient.prompts.tasks import Kind, Task
from ktclient.submission.spec import JobSpec

pytestmark = pytest.mark.each_python

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"$ref": "#/$defs/age"}},
    "required": ["name"],
    "$defs": {"age": {"type": "integer", "minimum": 0}},
}


def test_a_schema_is_read_from_a_file(tmp_path: Path) -> None:
    """With a byte order mark too."""
    file = tmp_path / "person.json"
    file.write_text("\ufeff" + json.dumps(PERSON, indent=2), encoding="utf-8")
    assert json.loads(answer_schema.read(str(file))) == PERSON


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON"),
        ("[1]", "must be a JSON object, not list"),
        ('{"type": "objekt"}', "is not a valid JSON Schema: 'objekt'"),
        ('{"type": "string", "pattern": "("}', "is not a valid JSON Schema"),
        ('{"$ref": "https://example.org/person.json"}', "copy that into the schema"),
        (
            '{"properties": {"a": {"$ref": "#/$defs/b"}}}',
            r"'#/\$defs/b', which it does not contain",
        ),
        ('{"const": NaN}', "is not JSON"),
        ("[" * 100_000, "is not JSON|nested"),
        (json.dumps({"description": "x" * 100_001}), "more than 100,000 characters"),
        ("\ud800", "is not JSON|cannot be read"),
        ('{"title": "\\ud800"}', "half a character"),
        ('{"$schema": 5}', "its \\$schema is no text"),
        ('{"$schema": ["a"]}', "its \\$schema is no text"),
        ('{"properties": {"a": {"$id": 5}}}', "is not a valid JSON Schema"),
    ],
)
def test_what_is_no_schema_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    """At submit, with the file's name and the place."""
    file = tmp_path / "bad.json"
    file.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(BadInput, match=reason) as refused:
        answer_schema.read(str(file))
    assert "bad.json" in str(refused.value)


@pytest.mark.parametrize("name", ["gone.json", ".", "a\0b"])
def test_a_file_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    """No traceback."""
    with pytest.raises(BadInput, match="cannot be read"):
        answer_schema.read(str(tmp_path / name))


@pytest.mark.parametrize("given", [{"a": object()}, {"a": float("nan")}, "{}", None])
def test_what_python_hands_in_is_checked_too(given: object) -> None:
    """A dict of what JSON knows."""
    with pytest.raises(BadInput, match="the schema"):
        validate(given)


@pytest.mark.parametrize(
    "answer",
    [
        '{"a": 1}',
        ' \n{"a": 1}\n',
        'Certainly!\n```json\n{"a": 1}\n```\nAnything else?',
        'The object is {"a": 1}, as asked.',
        '<think>Is it {"a": 2}?</think>\n{"a": 1}',
        '{ no } {"a": 1}',
    ],
)
def test_json_is_found_in_what_models_write(answer: str) -> None:
    """Alone, between fences, within a sentence, behind thoughts."""
    assert data(thoughts.divide_text(answer).answer) == {"a": 1}


@pytest.mark.parametrize("answer", ["", "none at all", '{"a": 1', "{" * 5000, '{"a": NaN}'])
def test_an_answer_without_json(answer: str) -> None:
    """Cut off, or nothing of the kind."""
    with pytest.raises(NotJson):
        data(answer)
    assert answer_schema.data_or_none(answer) is None
    assert "is not JSON" in (violations(answer, validate(PERSON)) or "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"name": "Ann", "age": 3}', None),
        ('{"age": 3}', "'name' is a required property"),
        ('{"name": "Ann", "age": -1}', "-1 is less than the minimum of 0 (at $.age)"),
        ('{"name": "%s", "age": "x"}' % ("n" * 5000), "'x' is not of type 'integer' (at $.age)"),
        ("[]", "[] is not of type 'object'"),
    ],
)
def test_an_answer_is_held_against_the_schema(answer: str, reason: str | None) -> None:
    """In words, with the place."""
    told = violations(answer, validate(PERSON))
    assert told == (reason and f"the answer does not follow the schema: {reason}")


def test_a_schema_that_has_no_end_loses_no_answer() -> None:
    """Earlier versions took such schemas. What the library cannot do is said."""
    told = violations("{}", json.dumps({"allOf": [{"$ref": "#"}]}))
    assert told == "the answer could not be validated against the schema: RecursionError"


def test_what_is_imported_beforehand_does_not_depend_on_the_schema() -> None:
    """The check of this one takes 2^60 steps."""
    twice = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(60)}
    schema = {"$ref": "#/$defs/a0", "$defs": {**twice, "a60": {}}}
    answer_schema.warm_up(answer_schema.validate(schema))


def test_the_task_carries_it() -> None:
    """To the store and back, into the message, and into the request; older runners leave it."""
    schema = validate({"type": "object", "title": "红"})
    (task,) = tasks.with_schema((Task(Kind.ASK, "Who?"),), schema)
    spec = JobSpec(task, "http://localhost:1", None, 64, 60.0)
    stored = json.loads(spec.to_json())
    assert JobSpec.from_json(spec.to_json()) == spec
    assert stored["task"]["schema"] == {"type": "object", "title": "红"}
    assert stored.keys() == {"version", "task", "server", "model", "max_tokens", "timeout"}
    assert tasks.message("A story.", task).endswith(f"and nothing else:\n{schema}")
    wanted = tasks.response_format(task)
    assert wanted is not None and wanted["json_schema"]["schema"] == json.loads(schema)  # type: ignore[index]
    assert tasks.response_format(Task(Kind.SUMMARIZE)) is None
    with pytest.raises(BadInput, match="--together"):
        tasks.with_schema((Task(Kind.ASK, "1. a\n2. b", ("a", "b")),), schema)


def test_what_is_said_of_an_answer_is_short() -> None:
    """It is stored with the job; the names of its fields are the model's."""
    schema = validate({"additionalProperties": {"type": "number"}})
    said = violations(json.dumps({"k" * 90_000: "v" * 90_000}), schema)
    assert said is not None and len(said) < 600


@pytest.mark.parametrize(
    "answer", ["[" + "{}," * 100_000 + "{}]", '"' + "x" * 4_200_000 + '"'], ids=["objects", "text"]
)
def test_an_answer_that_would_fill_the_memory_is_not_validated(answer: str) -> None:
    assert "was not validated" in (violations(answer, validate({"type": "object"})) or "")
