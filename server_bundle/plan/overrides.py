"""Overrides of a profile, and the checks that refuse invalid ones. Pure."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobs import known_secrets
from server_bundle.errors import PlanRefused
from server_bundle.plan import arguments, version_rules
from server_bundle.plan.memory.gpus import Gpu
from server_bundle.plan.memory.model_config import ModelConfig
from server_bundle.plan.profile import LLAMA_CPP, Profile

ENTRY = "sglang_entry.py"
_KEYS = ("--api-key", "--admin-api-key")
_NAME = re.compile(r"[A-Za-z_]\w{0,200}", re.ASCII)
_SECRETS = {"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "CREDENTIALS", "AUTH"}
"""Words of a variable's name that say that it holds a secret."""
_DEVICES = "CUDA_VISIBLE_DEVICES"
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
"""Flags of the server that the plan must know: set them with these options of ktserver."""


@dataclass(frozen=True)
class Overrides:
    """Settings that override the profile; None means the profile's value."""

    model: str
    """The folder of the weights."""
    python: str = "python3"
    engine: str | None = None
    version: str | None = None
    """Version of the engine in that interpreter."""
    host: str | None = None
    port: int | None = None
    gpus: int | None = None
    context: int | None = None
    mem_fraction: float | None = None
    served_name: str | None = None
    key_config: str | None = None
    """A file by `key_file.write`, for a server with a key."""
    entry: str = ENTRY
    """The path of `sglang_entry.py`; used only with a key."""
    extra: tuple[str, ...] = ()
    """Flags for the server, as typed."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for the server only, over the profile's."""
    gpu: Gpu | None = None
    """The GPU to plan for; None for those of this machine, else the profile's."""
    config: ModelConfig | None = None
    """The model's config.json; None if it was not looked for."""
    as_guide: bool = False
    """Whether to use exactly the settings of the profile's source."""


def with_defaults(profile: Profile, wish: Overrides) -> Overrides:
    """The overrides, completed with the profile's values."""
    return replace(
        wish,
        engine=wish.engine or profile.engine,
        port=profile.port if wish.port is None else wish.port,
        gpus=profile.gpus if wish.gpus is None else wish.gpus,
        served_name=wish.served_name
        or profile.served_name
        or wish.model.rstrip("/").split("/")[-1],
        key_config=None if wish.as_guide else wish.key_config,
    )


def environment_of(words: Sequence[str]) -> dict[str, str]:
    """Variables as typed, NAME=VALUE; the last of a name counts. Raises `PlanRefused` for other
    words, for secrets, which a plan would show, and for ktjob's own variables."""
    table = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _NAME.fullmatch(name):
            shown = name if _NAME.fullmatch(name) else "NAME"
            raise PlanRefused(
                f"--env {shown}: give a variable as NAME=VALUE, such as TORCH_CUDA_ARCH_LIST=9.0"
            )
        if name.startswith("KTJOB_"):
            raise PlanRefused(f"--env {name}: the server gets none of ktjob's own variables")
        if _is_secret(name, value):
            raise PlanRefused(
                f"--env {name}: every process list and the plan would show its value. The server "
                f"inherits the environment of `ktserver up`, so set it there: export {name}=..."
            )
        table[name] = value
    return table


def _is_secret(name: str, value: str) -> bool:
    words = set(name.upper().split("_"))
    return (
        bool(words & _SECRETS) or known_secrets.hide_shapes(f"{name}={value}") != f"{name}={value}"
    )


def validate(profile: Profile, wish: Overrides) -> None:
    """Raise `PlanRefused` for settings that contradict each other or would not run."""
    if profile.engine == LLAMA_CPP:
        raise PlanRefused("the embedded server needs no plan: start it with `ktserver up`")
    if profile.engine == "sglang-kt" and wish.engine != "sglang-kt":
        raise PlanRefused(
            f"profile {profile.name} has flags that only sglang-kt supports, but the engine is "
            f"{wish.engine}. Install sglang-kt, or use --profile generic-sglang"
        )
    if wish.version is not None and not version_rules.is_version(wish.version):
        raise PlanRefused(f"--engine-version {wish.version!r} is not a version; for example: 0.7.2")
    if profile.since and wish.version and _is_older(wish.version, profile.since):
        raise PlanRefused(
            f"profile {profile.name} needs {profile.engine} {profile.since} or later, but "
            f"{wish.version} is installed. Upgrade it: pip install -U {profile.engine}"
        )
    if wish.as_guide:
        _refuse_beside_guide(wish)
    _refuse_numbers(wish)
    _refuse_devices(wish)
    _refuse_extra(wish)
    if wish.host == "":
        raise PlanRefused("--host: name the address to listen on; 127.0.0.1 is the default")
    if wish.host and not _is_loopback(wish.host) and wish.key_config is None:
        raise PlanRefused(
            f"--host {wish.host} without a key lets anyone who can reach port {wish.port} use the "
            "server. Set KTJOB_API_KEY or server.api_key_file, or keep 127.0.0.1 and use an SSH "
            "tunnel"
        )


def _refuse_beside_guide(wish: Overrides) -> None:
    options = {
        "--host": wish.host,
        "--context": wish.context,
        "--mem-fraction": wish.mem_fraction,
        "flags after --": wish.extra,
        "--env": wish.environment,
    }
    for name, value in options.items():
        if value not in (None, (), {}):
            raise PlanRefused(
                f"--as-guide uses exactly the guide's settings and cannot be combined with {name}: "
                "leave one of them out"
            )


def _refuse_numbers(wish: Overrides) -> None:
    if not 0 < (wish.port or 0) < 65536:
        raise PlanRefused(f"--port {wish.port}: the port must be between 1 and 65535")
    if (wish.gpus or 0) < 1:
        raise PlanRefused(f"--tensor-parallel-size {wish.gpus}: it must be at least 1")
    if wish.mem_fraction is not None and not 0 < wish.mem_fraction < 1:
        raise PlanRefused(f"--mem-fraction {wish.mem_fraction}: it must be between 0 and 1")
    if wish.context is not None and wish.context < 1024:
        raise PlanRefused(f"--context {wish.context}: it must be at least 1024 tokens")


def _refuse_devices(wish: Overrides) -> None:
    named = wish.environment.get(_DEVICES)
    if named is None:
        return
    count = len([word for word in named.split(",") if word.strip()])
    if count < (wish.gpus or 0):
        raise PlanRefused(
            f"--env {_DEVICES}={named} names {count}, but the plan uses {wish.gpus} GPUs: name as "
            "many, or lower --tensor-parallel-size"
        )


def _refuse_extra(wish: Overrides) -> None:
    for name, _ in arguments.parse(wish.extra):
        # As argparse does, accept any prefix of a flag.
        option = next((ours for flag, ours in _OPTIONS.items() if flag.startswith(name)), None)
        if option is not None:
            raise PlanRefused(
                f"{name}: the plan needs this value, so give it as {option} before the `--`"
            )
        if any(key.startswith(name) for key in _KEYS):
            raise PlanRefused(
                f"{name}: every process list would show the key. Set KTJOB_API_KEY or "
                "server.api_key_file instead: the key is then passed in a file that only you can "
                "read"
            )
        if name == "--config" and wish.key_config is not None:
            raise PlanRefused(
                "--config: sglang accepts only one configuration file, and the key already uses "
                "it. Give these settings as flags"
            )


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _is_older(version: str, than: str) -> bool:
    with contextlib.suppress(ValueError):
        return version_rules.order(version) < version_rules.order(than)
    return False
