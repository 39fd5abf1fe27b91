"""The plan beside a typed command: which profile suits it, and which options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktclient.errors import BadInput

if TYPE_CHECKING:
    from ktclient.servers.own_plan import PlanOptions
    from server_bundle.doctor import Machine
    from server_bundle.doctor.command_line import Typed
    from server_bundle.plan.profile import Profile


_SHORTEST_NAME = 6
"""Letters and digits: what is shorter begins the names of several models."""


def read(
    words: tuple[str, ...], profile: str | None, here: Machine
) -> tuple[Typed, Profile, list[str]]:
    """The command, the profile to compare it with, and what is to be said about that choice.

    Raises `BadInput` for a command that starts no sglang.
    """
    from server_bundle.doctor import command_line
    from server_bundle.plan import profile as plan_profile

    if not words:
        raise BadInput(
            "--compare needs the command after `--`: ktserver plan --compare -- kt run …"
        )
    try:
        typed = command_line.read(words, here)
        chosen = plan_profile.load(profile) if profile else None
        remarks: list[str] = []
        if chosen is None:
            chosen, remarks = _suitable(typed)
        if typed.plan.gpus:
            typed = command_line.read(words, here, chosen.gpus)
    except ValueError as error:
        raise BadInput(f"this command cannot be compared: {error}") from None
    if typed.container is not None:
        remarks.append("the packages in the image are not looked at")
    return typed, chosen, remarks


def _suitable(typed: Typed) -> tuple[Profile, list[str]]:
    """The profile of the command's engine and model."""
    from server_bundle.plan import profile as plan_profile

    known = [plan_profile.load(name) for name in plan_profile.names()]
    same = [one for one in known if one.engine == typed.plan.engine]
    alike = [one for one in same if _is_alike(one, typed.plan.model)]
    listed = ", ".join(one.name for one in alike)
    if typed.plan.engine != "sglang-kt":
        remark = "compared with the profile generic-sglang"
        return plan_profile.load("generic-sglang"), [
            f"{remark}; for this model there are also: {listed} (--profile)" if listed else remark
        ]
    if alike:
        return alike[0], []
    names = ", ".join(one.name for one in same)
    raise ValueError(
        f"no profile is known for {Path(typed.plan.model).name}: name one with --profile ({names})"
    )


def _is_alike(profile: Profile, model: str) -> bool:
    """Whether a folder of weights has the name of the profile's model, up to its ending."""
    wanted = _plain(model)
    names = [_plain(one) for one in (profile.model, profile.served_name) if one]
    is_long = len(wanted) >= _SHORTEST_NAME
    return any(wanted.startswith(one) or (is_long and one.startswith(wanted)) for one in names)


def _plain(name: str) -> str:
    last = name.rstrip("/").rsplit("/", 1)[-1].rsplit("--", 1)[-1]
    return "".join(one for one in last.lower() if one.isalnum())


def wanted(given: Mapping[str, Any], typed: Typed, profile: Profile) -> PlanOptions:
    """The options of the plan: those that were given, else the command's own."""
    from ktclient.servers.own_plan import PlanOptions
    from server_bundle.doctor.flags import Flags

    theirs = typed.plan
    has_gpus = Flags(theirs.argv).has("--tensor-parallel-size", "--tp-size", "--tp")
    own: dict[str, Any] = {
        "model": theirs.model,
        "engine": theirs.engine,
        "engine_version": theirs.version,
        "port": theirs.port,
        "python": None if typed.container else theirs.python,
        "tensor_parallel_size": theirs.gpus if has_gpus and theirs.gpus else None,
    }
    chosen: dict[str, Any]
    chosen = {name: own.get(name) if value is None else value for name, value in given.items()}
    chosen |= {"profile": profile.name, "extra": ()}
    return PlanOptions(**chosen)


def window(typed: Typed) -> int | None:
    """The model's own context window, where its folder is here."""
    from server_bundle.doctor.facts import safetensors

    config = safetensors.look(typed.plan.weights).config
    text = config.get("text_config")
    for one in (config, text if isinstance(text, dict) else {}):
        found = one.get("max_position_embeddings")
        if isinstance(found, int) and found > 0:
            return found
    return None
