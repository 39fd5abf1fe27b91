"""Resolve options or a template to tasks and generation settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ktclient.documents import file_name
from ktclient.errors import BadInput
from ktclient.prompts import generation, tasks, templates
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.tasks import Task


@dataclass(frozen=True)
class Instructions:
    """The options as given. Explicit options take precedence over a template."""

    summarize: bool = False
    ask: Sequence[str] = ()
    prompt: str | None = None
    together: bool = False
    template: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    schema: str = ""
    """As returned by `answer_schema.validate`; empty: none."""
    system: str | None = None
    temperature: float | None = None
    thinking: bool | None = None
    effort: str | None = None
    max_tokens: int | None = None


def resolve(
    wish: Instructions, config_file: Path
) -> tuple[tuple[Task, ...], GenerationSettings, int | None]:
    """The tasks, the generation settings, and the maximum tokens of an answer, if set. Raises
    `BadInput`, and `BadSetting` for an invalid template."""
    around_title: tuple[str, ...] = ()
    if wish.template is not None:
        wish, around_title = _by_template(wish, wish.template, config_file)
    elif wish.variables:
        raise BadInput("--var sets variables of a template: add --template")
    asked = tasks.tasks(wish.summarize, wish.ask, wish.prompt, as_one=wish.together)
    if wish.schema:
        asked = tasks.with_schema(asked, wish.schema)
    asked = tuple(replace(one, around_title=around_title) for one in asked)
    if wish.system is not None:
        file_name.require_question(wish.system, "the system prompt (--system)", "--system")
    how = generation.parse(wish.system, wish.temperature, wish.thinking, wish.effort)
    return asked, how, wish.max_tokens


def _by_template(
    wish: Instructions, name: str, config_file: Path
) -> tuple[Instructions, tuple[str, ...]]:
    """The options with the template filled in, and the pieces of its prompt around the title."""
    if wish.summarize or wish.ask or wish.prompt is not None:
        raise BadInput(
            "a template has its own prompt: do not combine it with summarize, ask or prompt"
        )
    found = templates.load(name, templates.folder(config_file))
    filled = templates.fill(found, wish.variables)
    thinking, effort = wish.thinking, wish.effort
    if thinking is None and effort is None:
        thinking, effort = found.thinking, found.effort
    elif effort is None and thinking:
        effort = found.effort
    by_it = replace(
        wish,
        prompt="the document".join(filled.around_title),
        schema=wish.schema or found.schema,
        system=filled.system if wish.system is None else wish.system,
        temperature=found.temperature if wish.temperature is None else wish.temperature,
        thinking=thinking,
        effort=effort,
        max_tokens=found.max_tokens if wish.max_tokens is None else wish.max_tokens,
    )
    return by_it, filled.around_title
