"""`[defaults]` of the configuration file: default values for the options of `submit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings
from ktclient.errors import BadSetting

if TYPE_CHECKING:
    from ktclient.config.settings import Settings

_NEVER = {
    "files", "join", "summarize", "ask", "together", "prompt", "model", "server", "raw", "encoding",
    "as_json", "wait", "quiet", "after", "at", "template", "var", "schema", "help", "host",
}  # fmt: skip
"""Options that belong to one document or one call, or to the table of a server."""
_OF_TEMPLATES = {"max_tokens", "system", "temperature", "thinking", "effort"}
"""Options that a template may set; the template takes precedence over a default."""

_EITHER = {"--thinking": "effort", "--effort": "thinking"}
"""An option on the command line -> the default that it replaces with its own."""


class WithDefaults(click.Command):
    """A command that takes options missing on the command line from `[defaults]`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and not {"-h", "--help"}.intersection(args):
            settings = command_settings.load()
            known = values(settings, ctx)
            if any(one == "--template" or one.startswith("--template=") for one in args):
                known = {name: known[name] for name in known.keys() - _OF_TEMPLATES}
            for one, other in _EITHER.items():
                if any(arg == one or arg.startswith(f"{one}=") for arg in args):
                    known.pop(other, None)
            own = {one.name for one in self.params}
            ctx.default_map = {name: known[name] for name in known.keys() & own}
        return super().parse_args(ctx, args)


def names(ctx: click.Context) -> set[str]:
    """The keys that `[defaults]` may contain."""
    return {one.name for one in _params(ctx) if one.name and one.name not in _NEVER}


def names_of(submit: click.Command) -> set[str]:
    """The same, by the options of `submit` alone."""
    return {one.name for one in submit.params if one.name and one.name not in _NEVER}


def values(settings: Settings, ctx: click.Context) -> dict[str, object]:
    """The values of `[defaults]`, by parameter name, as the options accept them. Raises
    `BadSetting`."""
    from ktclient.config import file as config_file

    table, file = settings.tables["defaults"], settings.config_file
    config_file.check_keys(table, names(ctx), "defaults", file)
    by_name = {one.name: one for one in _params(ctx)}
    found = {}
    for name, value in table.items():
        given = _as_typed(by_name[name], value)
        try:
            by_name[name].process_value(ctx, given)
        except click.BadParameter as error:
            raise BadSetting(f"{file}: defaults.{name}: {error.message}") from None
        found[name] = given
    return found


def _as_typed(param: click.Parameter, value: object) -> object:
    """Convert a TOML value to what would be typed: true to "on", one value to a list of one."""
    if isinstance(value, bool) and isinstance(param.type, click.Choice):
        return "on" if value else "off"
    if isinstance(value, bool) and not isinstance(param.type, click.types.BoolParamType):
        return str(value)  # not a number, so that click refuses it
    if isinstance(value, float) and isinstance(param.type, click.types.IntParamType):
        return str(value)  # not a whole number, so that click refuses it
    if param.multiple and not isinstance(value, list):
        return [value]
    return value


def _params(ctx: click.Context) -> list[click.Parameter]:
    """The options of `submit`, whichever command of the group is running."""
    group = ctx.find_root().command
    submit = group.commands.get("submit") if isinstance(group, click.Group) else None
    return (submit or ctx.command).params
