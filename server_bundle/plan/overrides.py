"""What is wished for beyond a profile, and what of it is refused. Pure."""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import dataclass, replace

from server_bundle.errors import PlanRefused
from server_bundle.plan import arguments, version_rules
from server_bundle.plan.profile import LLAMA_CPP, Profile

ENTRY = "sglang_entry.py"
_KEYS = ("--api-key", "--admin-api-key")
_OPTIONS = {
    "--host": "--host",
    "--port": "--port",
    "--model": "--model",
    "--model-path": "--model",
    "--served-model-name": "--served-model-name",
    "--tensor-parallel-size": "--tensor-parallel-size",
    "--tp-size": "--tensor-parallel-size",
    "--context-length": "--context",
    "--mem-fraction-static": "--mem-fraction",
}
"""Flags of the server that the plan must know: options of ours set them."""


@dataclass(frozen=True)
class Overrides:
    """What is wished for beyond the profile; None: as the profile says."""

    model: str
    """Folder of the weights."""
    python: str = "python3"
    engine: str | None = None
    version: str | None = None
    """Of the engine, as found in that interpreter."""
    host: str | None = None
    port: int | None = None
    gpus: int | None = None
    context: int | None = None
    mem_fraction: float | None = None
    served_name: str | None = None
    key_config: str | None = None
    """A file by `key_file.write`, when the server is to have a key."""
    entry: str = ENTRY
    """Where `sglang_entry.py` is; used with a key only."""
    extra: tuple[str, ...] = ()
    """Flags for the server, as typed."""
    as_guide: bool = False
    """Exactly as the profile's source has it."""


def with_defaults(profile: Profile, wish: Overrides) -> Overrides:
    """With the profile's values where nothing is wished for."""
    return replace(
        wish,
        engine=wish.engine or profile.engine,
        port=wish.port or profile.port,
        gpus=wish.gpus or profile.gpus,
        served_name=wish.served_name
        or profile.served_name
        or wish.model.rstrip("/").split("/")[-1],
        key_config=None if wish.as_guide else wish.key_config,
    )


def validate(profile: Profile, wish: Overrides) -> None:
    """Raise `PlanRefused` for what contradicts itself, or would not run."""
    if profile.engine == LLAMA_CPP:
        raise PlanRefused("the embedded server needs no plan: start it with `ktserver up`")
    if profile.engine == "sglang-kt" and wish.engine != "sglang-kt":
        raise PlanRefused(
            f"profile {profile.name} has flags that only sglang-kt knows; {wish.engine} is what "
            "was named or found. Install sglang-kt, or take --profile generic-sglang"
        )
    if profile.since and wish.version and _is_older(wish.version, profile.since):
        raise PlanRefused(
            f"profile {profile.name} needs {profile.engine} {profile.since} or later; this is "
            f"{wish.version}. Upgrade it: pip install -U {profile.engine}"
        )
    if wish.as_guide:
        _refuse_beside_guide(wish)
    _refuse_numbers(wish)
    _refuse_extra(wish)
    if wish.host and not _is_loopback(wish.host) and wish.key_config is None:
        raise PlanRefused(
            f"--host {wish.host} without a key lets everybody who reaches port {wish.port} use "
            "the server. Set KTJOB_API_KEY or server.api_key_file, or stay on 127.0.0.1 and use a "
            "tunnel"
        )


def _refuse_beside_guide(wish: Overrides) -> None:
    options = {
        "--host": wish.host,
        "--context": wish.context,
        "--mem-fraction": wish.mem_fraction,
        "flags after --": wish.extra,
    }
    for name, value in options.items():
        if value:
            raise PlanRefused(f"--as-guide is exactly what the guide says: leave out {name}")


def _refuse_numbers(wish: Overrides) -> None:
    if not 0 < (wish.port or 0) < 65536:
        raise PlanRefused(f"--port {wish.port}: a port is between 1 and 65535")
    if (wish.gpus or 0) < 1:
        raise PlanRefused(f"--tensor-parallel-size {wish.gpus}: at least 1")
    if wish.mem_fraction is not None and not 0 < wish.mem_fraction < 1:
        raise PlanRefused(f"--mem-fraction {wish.mem_fraction}: a share, between 0 and 1")
    if wish.context is not None and wish.context < 1024:
        raise PlanRefused(f"--context {wish.context}: at least 1024 tokens")


def _refuse_extra(wish: Overrides) -> None:
    for name, _ in arguments.parse(wish.extra):
        # argparse takes unique beginnings of a flag as well, so we do
        option = next((ours for flag, ours in _OPTIONS.items() if flag.startswith(name)), None)
        if option is not None:
            raise PlanRefused(f"{name}: give {option} before the `--`, where the plan sees it")
        if any(key.startswith(name) for key in _KEYS):
            raise PlanRefused(
                f"{name}: every process list would show the key. Set KTJOB_API_KEY or "
                "server.api_key_file: it then goes by a file that only you can read"
            )
        if name == "--config" and wish.key_config is not None:
            raise PlanRefused("--config: sglang takes one such file, and the key comes by it")


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _is_older(version: str, than: str) -> bool:
    with contextlib.suppress(ValueError):
        return version_rules.order(version) < version_rules.order(than)
    return False
