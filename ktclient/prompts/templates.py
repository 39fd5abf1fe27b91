"""Prompt templates: the user's own files, and a few that come with ktjob.

`$name` and `${name}` are variables, `$$` is a dollar sign; any other `$` stays as it is. Values are
inserted once and never scanned again, and the document is not part of this at all: neither can add
a variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from jobs import parsing
from ktclient import wording
from ktclient.errors import BadInput, BadSetting
from ktclient.prompts import answer_schema, generation

BUILT_IN = Path(__file__).parent / "built_in"
OURS = ("title", "date")
"""Variables that ktjob sets: the document's name, and today's date as YYYY-MM-DD."""
_MOST_BYTES = 200_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_KINDS: dict[str, tuple[type, ...]] = {
    "description": (str,),
    "prompt": (str,),
    "system": (str,),
    "max_tokens": (int,),
    "temperature": (int, float),
    "thinking": (bool,),
    "effort": (str,),
    "schema": (str, dict),
    "variables": (dict,),
}


@dataclass(frozen=True)
class Template:
    """The contents of a template file; None for a setting that it lacks."""

    name: str
    path: Path
    prompt: str
    description: str = ""
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    thinking: bool | None = None
    effort: str | None = None
    schema: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_built_in(self) -> bool:
        return self.path.parent == BUILT_IN

    def variables(self) -> dict[str, str | None]:
        """The variables that the user sets, in order of appearance, with their defaults."""
        names = [*_names(self.prompt), *_names(self.system or "")]
        return {one: self.defaults.get(one) for one in names if one not in OURS}


@dataclass(frozen=True)
class Filled:
    """A template with its variables filled in."""

    around_title: tuple[str, ...]
    """The prompt, as the pieces around the document's name."""
    system: str | None


def folder(config_file: Path) -> Path:
    """The folder of the user's own templates, files NAME.toml, beside the configuration file."""
    return config_file.parent / "templates"


def names(own: Path) -> list[str]:
    """All template names; a user's template replaces a built-in one of the same name."""
    found = {path.stem for place in (own, BUILT_IN) for path in place.glob("*.toml")}
    return sorted(name for name in found if _NAME.fullmatch(name))


def load(name: str, own: Path) -> Template:
    """Load a template. Raises `BadInput` for an unknown name, `BadSetting` for an invalid file."""
    if _NAME.fullmatch(name):
        for place in (own, BUILT_IN):
            path = place / f"{name}.toml"
            if path.is_file():
                return _read(name, path)
    shown = name if name.isprintable() else repr(name)
    raise BadInput(
        f"there is no template {shown}; available: {', '.join(names(own))}. Add your own as "
        f"NAME.toml in {own}"
    )


def fill(template: Template, given: Mapping[str, str]) -> Filled:
    """Fill in these values. Raises `BadInput` that names each variable that is missing, or that the
    template does not have."""
    known = template.variables()
    ours = [name for name in given if name in OURS]
    unused = [name for name in given if name not in known and name not in OURS]
    missing = [name for name, default in known.items() if default is None and name not in given]
    if not all(isinstance(value, str) for value in given.values()):
        raise BadInput(f"the variables of template {template.name} must be text")
    if ours:
        raise BadInput(f"{_listed(ours)} is set by ktjob; omit it")
    if unused:
        has = f"it has {_listed(list(known))}" if known else "it has none"
        raise BadInput(f"template {template.name} has no variable {_listed(unused)}; {has}")
    if missing:
        how = " ".join(f"--var {name}=…" for name in missing)
        raise BadInput(f"template {template.name} needs a value for {_listed(missing)}: {how}")
    values = {name: default or "" for name, default in known.items()} | dict(given)
    values["date"] = datetime.now().astimezone().strftime("%Y-%m-%d")
    pieces = _put_in(template.prompt, values)
    system = None if template.system is None else "".join(_put_in(template.system, values))
    return Filled(pieces, system)


def _put_in(text: str, values: Mapping[str, str]) -> tuple[str, ...]:
    """The pieces around the document's title."""
    pieces, at = [""], 0
    for found in _VARIABLE.finditer(text):
        pieces[-1] += text[at : found.start()]
        at = found.end()
        name = found.group(2) or found.group(3)
        if name == "title":
            pieces.append("")
        else:
            pieces[-1] += "$" if name is None else values[name]
    pieces[-1] += text[at:]
    return tuple(pieces)


def _names(text: str) -> list[str]:
    found = (one.group(2) or one.group(3) for one in _VARIABLE.finditer(text))
    return list(dict.fromkeys(name for name in found if name is not None))


def _listed(found: list[str]) -> str:
    return ", ".join(f"${name}" if name.isidentifier() else repr(name) for name in found)


def _read(name: str, path: Path) -> Template:
    try:
        content = parsing.of_toml(parsing.read_text(path, _MOST_BYTES, pipes=False))
    except (OSError, ValueError) as error:
        raise BadSetting(f"{path} cannot be read: {wording.reason(error)}") from None
    for key, value in content.items():
        kinds = _KINDS.get(key)
        if kinds is None:
            raise BadSetting(f"{path}: unknown key {key!r}; allowed are {', '.join(_KINDS)}")
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(_WORDS[kind] for kind in kinds)
            raise BadSetting(f"{path}: {key} must be {wanted}, not {value!r}")
    return _checked(
        Template(
            name=name,
            path=path,
            prompt=str(content.pop("prompt", "")).strip(),
            schema=_schema(content.pop("schema", None), path),
            defaults=_defaults(content.pop("variables", {}), path),
            **content,
        )
    )


_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
}


def _checked(template: Template) -> Template:
    path = template.path
    if not template.prompt:
        raise BadSetting(f"{path}: prompt is missing or empty")
    if template.effort is not None and template.effort not in generation.EFFORTS:
        raise BadSetting(
            f"{path}: effort must be one of {', '.join(generation.EFFORTS)}, "
            f"not {template.effort!r}"
        )
    if "title" in _names(template.system or ""):
        raise BadSetting(f"{path}: $title is allowed in prompt, not in system")
    if unused := [name for name in template.defaults if name not in template.variables()]:
        raise BadSetting(
            f"{path}: [variables] sets {_listed(unused)}, which the template does not use"
        )
    return template


def _schema(given: object, path: Path) -> str:
    """The schema from a table here, or from a file beside this one. Raises `BadSetting`."""
    if given is None:
        return ""
    try:
        if isinstance(given, str):
            return answer_schema.read(str(path.parent / Path(given).expanduser()))
        return answer_schema.validate(given)
    except (BadInput, RuntimeError) as error:
        raise BadSetting(f"{path}: schema: {error}") from None


def _defaults(given: Mapping[str, object], path: Path) -> dict[str, str]:
    for name, value in given.items():
        if not isinstance(value, str) or name in OURS:
            raise BadSetting(
                f"{path}: variables.{name} must be text, and must not be one of {_listed([*OURS])}"
            )
    return {name: str(value) for name, value in given.items()}
