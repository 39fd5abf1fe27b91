"""Templates: what a file may say, what is put in, and what is told of a wrong one."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from ktclient.errors import BadInput, BadSetting
from ktclient.prompts import answer_schema, tasks, templates
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.instructions import Instructions, resolve

pytestmark = pytest.mark.each_python


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where the configuration file would be; templates beside it."""
    (tmp_path / "config" / "templates").mkdir(parents=True)
    return tmp_path / "config" / "config.toml"


def write(config: Path, text: str, name: str = "mine") -> Path:
    path = templates.folder(config) / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def prompt(config: Path, title: str = "a.txt", **given: str) -> str:
    (task,), _, _ = resolve(Instructions(template="mine", variables=given), config)
    return task.about(title).text


def test_variables_are_put_in_once(config: Path) -> None:
    """With defaults, in both ways to write them; values and names of documents stay what they
    are, whatever they look like."""
    write(
        config,
        """
        prompt = "For $audience: ${audience}s of $title, $$5 or $5, $a-$b. {x} % $"
        [variables]
        a = "$audience"
        b = "2"
        """,
    )
    told = prompt(config, "$b $title.txt", audience="$title", b="${a}")
    assert told == "For $title: $titles of $b $title.txt, $5 or $5, $audience-${a}. {x} % $"


def test_the_document_is_no_template(config: Path) -> None:
    """What looks like a variable in it is sent as it is; the prompt goes last."""
    write(config, 'prompt = "Translate $title."')
    (task,), _, _ = resolve(Instructions(template="mine"), config)
    sent = tasks.message("It costs $title or $date.", task.about("a\nb.txt"))
    assert sent == "It costs $title or $date.\n\nTranslate a\N{REPLACEMENT CHARACTER}b.txt."


def test_today(config: Path) -> None:
    """On this machine's calendar."""
    write(config, 'prompt = "$date"\nsystem = "It is $date."')
    (task,), manner, _ = resolve(Instructions(template="mine"), config)
    days = abs(datetime.now() - datetime.strptime(task.text, "%Y-%m-%d")).days
    assert days <= 1 and manner.system == f"It is {task.text}."


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "needs a value for \\$audience, \\$language: --var audience=… --var language=…"),
        ({"audience": "all", "langage": "x"}, "no variable \\$langage; it has \\$audience, \\$lan"),
        ({"audience": "all", "language": "x", "title": "t"}, "\\$title is set by ktjob"),
    ],
)
def test_variables_that_are_missing_or_too_many_are_named(
    config: Path, given: dict[str, str], reason: str
) -> None:
    """All of them at once."""
    write(config, 'prompt = "For $audience in $language."')
    with pytest.raises(BadInput, match=reason):
        resolve(Instructions(template="mine", variables=given), config)


def test_all_that_a_file_can_say_and_options_before_it(config: Path) -> None:
    """A schema from a file beside it, or in it."""
    (templates.folder(config) / "s.json").write_text('{"type": "object"}')
    write(
        config,
        """
        description = "all"
        prompt = "List them."
        system = "Be terse."
        max_tokens = 77
        temperature = 1
        thinking = false
        schema = "s.json"
        """,
    )
    (task,), manner, most = resolve(Instructions(template="mine"), config)
    assert (task.kind, task.text, task.schema) == ("prompt", "List them.", '{"type": "object"}')
    assert (manner, most) == (GenerationSettings("Be terse.", 1.0, False), 77)
    other = answer_schema.validate({"type": "array"})
    said = Instructions(template="mine", schema=other, system="No.", temperature=0.0, max_tokens=5)
    (task,), manner, most = resolve(said, config)
    assert (task.schema, manner, most) == (other, GenerationSettings("No.", 0.0, False), 5)
    write(config, 'prompt = "x"\n[schema]\ntype = "object"\nrequired = ["a"]')
    (task,), _, _ = resolve(Instructions(template="mine"), config)
    assert json.loads(task.schema) == {"type": "object", "required": ["a"]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "prompt is missing or empty"),
        ('prompt = "  "', "prompt is missing or empty"),
        ("prompt = 5", "prompt must be text, not 5"),
        ("prompt = [", "cannot be read"),
        ('prompt = "x"\npromt = "y"', "unknown key 'promt'; allowed are description, prompt"),
        ('prompt = "x"\nmax_tokens = true', "max_tokens must be a whole number, not True"),
        ('prompt = "x"\ntemperature = "hot"', "temperature must be a whole number or a number"),
        ('prompt = "x"\nschema = "gone.json"', "schema: .*gone.json cannot be read"),
        ('prompt = "x"\n[schema]\ntype = "objekt"', "schema: .*not a valid JSON Schema"),
        ('prompt = "x"\n[schema]\ndefault = 2026-01-01', "schema: .*is not JSON"),
        ('prompt = "x"\nsystem = "$title"', "title is allowed in prompt"),
        ('prompt = "x"\n[variables]\nname = "y"', "sets \\$name, which the template does not use"),
        ('prompt = "$n"\n[variables]\nn = 1', "variables.n must be text"),
        ('prompt = "x"\n# ' + "x" * 200_000, "more than 200,000 bytes"),
    ],
)
def test_a_wrong_file_is_told_with_its_name(config: Path, content: str, reason: str) -> None:
    """Nothing is guessed."""
    path = write(config, content)
    with pytest.raises(BadSetting, match=reason) as refused:
        prompt(config)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("name", ["gone", "", "../config", "a/b", "mine.toml", "\x1b[2J", "x" * 99])
def test_a_template_that_is_not_there(config: Path, name: str) -> None:
    """With those that are; a name is no path."""
    write(config, 'prompt = "x"')
    with pytest.raises(BadInput, match="available: chapters, mine, minutes, terms"):
        templates.load(name, templates.folder(config))


def test_a_template_says_what_is_wanted(config: Path) -> None:
    """And nothing else does; variables are for templates."""
    write(config, 'prompt = "x"')
    for said in (
        Instructions(summarize=True),
        Instructions(ask=["Who?"]),
        Instructions(prompt="y"),
    ):
        with pytest.raises(BadInput, match="a template has its own prompt"):
            resolve(Instructions(**{**vars(said), "template": "mine"}), config)
    with pytest.raises(BadInput, match="--var sets variables"):
        resolve(Instructions(variables={"a": "b"}), config)


@pytest.mark.parametrize("path", sorted(templates.BUILT_IN.glob("*.toml")), ids=lambda p: p.stem)
def test_those_that_come_with_it_need_nothing(path: Path, config: Path) -> None:
    """No variable without a default; one of the user's of the same name goes before."""
    found = templates.load(path.stem, templates.folder(config))
    assert found.description and found.is_built_in and None not in found.variables().values()
    (task,), _, _ = resolve(Instructions(template=path.stem), config)
    assert "$" not in task.about("a.txt").text and "\n\n\n" not in task.text
    write(config, 'prompt = "my own"', path.stem)
    assert templates.load(path.stem, templates.folder(config)).prompt == "my own"
