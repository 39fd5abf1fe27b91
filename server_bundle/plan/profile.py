"""Profiles: published deployments, and this project's changes to them, each with its reason.

A profile is `profiles/NAME.toml`; `flag_changes.toml` has the reasons and changes that many share.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from server_bundle import package_data
from server_bundle.errors import NoSuchProfile
from server_bundle.plan.kv_pool import Card, Loaded
from server_bundle.plan.memory.gpus import Gpu, named
from server_bundle.plan.model_shape import FLASH

EMBEDDED = "embedded"
LLAMA_CPP = "llama.cpp"
Value = str | bool
"""The value of a flag; True for a flag without a value."""

_FOLDER = package_data.PLAN / "profiles"
_ENGINES = ("sglang-kt", "sglang", LLAMA_CPP)
_KEYS = {
    *("title", "engine", "since", "family", "status", "source", "served_name", "port", "gpus"),
    *("context", "warmup_tokens", "ready_seconds", "needs", "kv", "prefix", "variable", "flag"),
    *("change", "model"),
}


@dataclass(frozen=True)
class Change:
    """A change of the source's setting."""

    value: Value | None
    """The new value; None when the flag is omitted."""
    reason: str
    evidence: str


@dataclass(frozen=True)
class Flag:
    """One argument of the server."""

    name: str
    guide: Value | None
    """The source's value; None when the source does not set it."""
    reason: str
    source: str
    change: Change | None


@dataclass(frozen=True)
class Variable:
    """One environment variable, for the server only."""

    name: str
    value: str
    reason: str
    source: str


@dataclass(frozen=True)
class Prefix:
    """Words before the interpreter, such as numactl."""

    guide: tuple[str, ...]
    reason: str
    source: str
    ours: tuple[str, ...]
    change: Change | None


@dataclass(frozen=True)
class KvFacts:
    """The values from which the KV pool is computed: a GPU of the profile's deployment, and what is
    loaded there."""

    card: Card
    loaded: Loaded
    gpu: Gpu
    """The kind of GPU that `card` is."""


@dataclass(frozen=True)
class Profile:
    """One deployment. Values may have the placeholders {model}, {port}, {gpus}, {gpu_list},
    {served_name}, {physical_cores}, {numa_nodes} and {safe_context}, which a plan fills in."""

    name: str
    title: str
    engine: str
    since: str | None
    """The first version of the engine that supports all its flags."""
    family: str
    """The model family that version rules name; empty for others."""
    status: str
    source: str
    model: str
    """The name of its weights on the Hugging Face hub, where the source gives one; else empty."""
    served_name: str
    port: int
    gpus: int
    context: int | None
    warmup_tokens: int
    ready_seconds: float
    needs: str
    kv: KvFacts | None
    prefix: Prefix
    variables: tuple[Variable, ...]
    flags: tuple[Flag, ...]


def names() -> list[str]:
    """The names of all profiles, sorted."""
    return sorted(path.name[: -len(".toml")] for path in _FOLDER.glob("*.toml"))


@cache
def load(name: str) -> Profile:
    """One profile. Raises `NoSuchProfile`, and `ValueError` for an invalid file (a bug)."""
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise NoSuchProfile(
            f"there is no profile {name!r}{hint} List them with `ktserver profiles`"
        )
    return from_toml(name, package_data.read(_FOLDER / f"{name}.toml"))


def from_toml(name: str, data: dict[str, Any]) -> Profile:
    """A profile from its file's content. Raises `ValueError` that names the problem."""
    _check(name, data)
    return Profile(
        name=name,
        title=data["title"],
        engine=data["engine"],
        since=data.get("since"),
        family=data.get("family", ""),
        status=data["status"],
        source=data["source"],
        model=data.get("model", ""),
        served_name=data["served_name"],
        port=data["port"],
        gpus=data["gpus"],
        context=data.get("context"),
        warmup_tokens=data["warmup_tokens"],
        ready_seconds=float(data["ready_seconds"]),
        needs=data["needs"],
        kv=_kv(data.get("kv"), data["gpus"]),
        prefix=_prefix(data.get("prefix"), data["source"]),
        variables=tuple(
            Variable(key, one["value"], one["reason"], one.get("source", data["source"]))
            for key, one in data.get("variable", {}).items()
        ),
        flags=_flags(name, data),
    )


def _check(name: str, data: dict[str, Any]) -> None:
    unknown = set(data) - _KEYS
    missing = _KEYS - set(data) - {"since", "family", "context", "kv", "prefix", "variable"}
    missing -= {"change", "model"}
    if unknown or missing:
        raise ValueError(
            f"profile {name}: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}"
        )
    if data["engine"] not in _ENGINES:
        raise ValueError(f"profile {name}: engine {data['engine']!r} is not one of {_ENGINES}")


def _flags(name: str, data: dict[str, Any]) -> tuple[Flag, ...]:
    """The source's flags in their order, then the flags that this project adds."""
    shared = _shared()
    ours = data.get("change", {})
    flags = []
    for flag, one in data["flag"].items():
        reason = one.get("reason") or shared["reason"].get(flag)
        if reason is None:
            raise ValueError(f"profile {name}: {flag} has no reason")
        source = one.get("source", data["source"])
        flags.append(Flag(flag, one["guide"], reason, source, _change(flag, one, ours)))
    if data["engine"] == LLAMA_CPP:
        return tuple(flags)
    for flag in (*ours, "--enable-metrics", "--served-model-name"):
        if flag not in [one.name for one in flags]:
            change = ours.get(flag) or shared["change"][flag]
            reason = shared["reason"].get(flag, change["reason"])
            flags.append(Flag(flag, None, reason, change["evidence"], Change(**change)))
    return tuple(flags)


def _change(flag: str, one: dict[str, Any], ours: dict[str, Any]) -> Change | None:
    found = ours.get(flag) or _shared()["change"].get(flag)
    return None if found is None or found["value"] == one["guide"] else Change(**found)


def _prefix(found: dict[str, Any] | None, source: str) -> Prefix:
    if found is None:
        return Prefix((), "", source, (), None)
    guide, ours = tuple(found["guide"]), tuple(found["ours"])
    change = None
    if guide != ours:
        change = Change(" ".join(ours) or None, found["change"], found["evidence"])
    return Prefix(guide, found["reason"], source, ours, change)


def _kv(found: dict[str, Any] | None, gpus: int) -> KvFacts | None:
    """DeepSeek V4 Flash, with other sizes of its experts if the profile has them."""
    if found is None:
        return None
    card = Card(found["total_gib"], found["after_load_gib"], found["graphs_gib"])
    sizes = {name: found[name] for name in ("experts", "hidden", "expert_hidden")}
    loaded = Loaded(replace(FLASH, **sizes), gpus, found["gpu_experts"])
    return KvFacts(card, loaded, named(found["gpu"]))


@cache
def _shared() -> dict[str, dict[str, Any]]:
    return package_data.read(package_data.PLAN / "flag_changes.toml")
