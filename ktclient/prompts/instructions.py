"""What is wanted of a document, from options or a template, as tasks and a manner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ktclient.errors import BadInput
from ktclient.prompts import generation, tasks, templates
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.tasks import Task


@dataclass(frozen=True)
class Instructions:
    """As it was said. What is said outright goes before what a template says."""

    summarize: bool = False
    ask: Sequence[str] = ()
    prompt: str | None = None
    together: bool = False
    template: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    schema: str = ""
    """As `structured.checked` gives it; empty: none."""
    system: str | None = None
    temperature: float | None = None
    thinking: bool | None = None
    max_tokens: int | None = None


def resolve(
    wish: Instructions, config_file: Path
) -> tuple[tuple[Task, ...], GenerationSettings, int | None]:
    """What to ask, how, and the most tokens of an answer, if that was said. Raises `BadInput`, and
    `BadSetting` for a template that is wrong."""
    around_title: tuple[str, ...] = ()
    if wish.template is not None:
        wish, around_title = _by_template(wish, wish.template, config_file)
    elif wish.variables:
        raise BadInput("--var is for the variables of a --template")
    asked = tasks.tasks(wish.summarize, wish.ask, wish.prompt, as_one=wish.together)
    if wish.schema:
        asked = tasks.with_schema(asked, wish.schema)
    asked = tuple(replace(one, around_title=around_title) for one in asked)
    return asked, generation.parse(wish.system, wish.temperature, wish.thinking), wish.max_tokens


def _by_template(
    wish: Instructions, name: str, config_file: Path
) -> tuple[Instructions, tuple[str, ...]]:
    """The same without the template, and the pieces of its prompt around the document's name."""
    if wish.summarize or wish.ask or wish.prompt is not None:
        raise BadInput("a template says what is wanted: no summarize, ask or prompt besides it")
    found = templates.load(name, templates.folder(config_file))
    filled = templates.fill(found, wish.variables)
    by_it = replace(
        wish,
        prompt="the document".join(filled.around_title),
        schema=wish.schema or found.schema,
        system=filled.system if wish.system is None else wish.system,
        temperature=found.temperature if wish.temperature is None else wish.temperature,
        thinking=found.thinking if wish.thinking is None else wish.thinking,
        max_tokens=found.max_tokens if wish.max_tokens is None else wish.max_tokens,
    )
    return by_it, filled.around_title
