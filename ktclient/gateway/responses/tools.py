"""Functions that a model may call: from the Responses API's form to that of chats. Pure."""

from __future__ import annotations

from typing import Any

from ktclient.gateway.responses import checks
from ktclient.wording import quote

Fields = dict[str, Any]
_MODES = ("none", "auto", "required")
FUNCTION = "function"


def chat_tools(fields: Fields) -> list[Fields]:
    """The tools of a request as a chat has them. Raises `ApiError` for others than functions."""
    if fields.get("tools") is None:
        return []
    given = checks.listed(fields["tools"], "tools")
    return [_chat_tool(one, f"tools[{place}]") for place, one in enumerate(given)]


def _chat_tool(given: object, param: str) -> Fields:
    tool = checks.mapping(given, param)
    if tool.get("type") != FUNCTION:
        kind = quote(str(tool.get("type")))
        words = f"tools of type {kind} are not supported; the server knows functions only"
        raise checks.wrong(f"{param}.type", words, "unsupported_value")
    function: Fields = {"name": checks.text(tool.get("name"), f"{param}.name")}
    for name in ("description", "parameters", "strict"):
        if tool.get(name) is not None:
            function[name] = tool[name]
    if "parameters" in function:
        checks.mapping(function["parameters"], f"{param}.parameters")
    checks.truth(tool, "strict", usual=None, prefix=f"{param}.")
    if "description" in function:
        checks.text(function["description"], f"{param}.description")
    return {"type": FUNCTION, FUNCTION: function}


def echoed(tools: list[Fields]) -> list[Fields]:
    """The same as a response repeats them: each field is there."""
    usual = {"description": None, "parameters": None, "strict": None}
    return [{"type": FUNCTION, **usual, **tool[FUNCTION]} for tool in tools]


def chat_choice(fields: Fields, tools: list[Fields]) -> tuple[list[Fields], Any]:
    """The tools that may be called, and the chat's `tool_choice`; None: the usual one. Raises
    `ApiError`."""
    given = fields.get("tool_choice")
    if given is None or isinstance(given, str):
        mode = None if given is None else checks.choice(given, "tool_choice", _MODES)
        return tools, mode if tools else None
    wanted = checks.mapping(given, "tool_choice")
    if wanted.get("type") == FUNCTION:
        name = _known(wanted.get("name"), "tool_choice.name", tools)
        return tools, {"type": FUNCTION, FUNCTION: {"name": name}}
    if wanted.get("type") != "allowed_tools":
        words = f"a choice of type {quote(str(wanted.get('type')))} is not supported"
        raise checks.wrong("tool_choice.type", words, "unsupported_value")
    mode = checks.choice(wanted.get("mode"), "tool_choice.mode", _MODES[1:])
    allowed = checks.listed(wanted.get("tools"), "tool_choice.tools")
    names = [
        _known(
            one.get("name") if isinstance(one, dict) else None, f"tool_choice.tools[{at}]", tools
        )
        for at, one in enumerate(allowed)
    ]
    return [tool for tool in tools if tool[FUNCTION]["name"] in names], mode


def echoed_choice(fields: Fields) -> Any:
    """The choice of a valid request as its response repeats it; None: it makes none."""
    given = fields.get("tool_choice")
    if not isinstance(given, dict):
        return given
    if given["type"] == FUNCTION:
        return {"type": FUNCTION, "name": given["name"]}
    names = [{"type": FUNCTION, "name": one["name"]} for one in given["tools"]]
    return {"type": given["type"], "mode": given["mode"], "tools": names}


def _known(name: object, param: str, tools: list[Fields]) -> str:
    found = checks.text(name, param)
    if all(tool[FUNCTION]["name"] != found for tool in tools):
        raise checks.wrong(param, f"there is no function {quote(found)} in tools")
    return found
