"""Plan a server from options: the plan that `ktserver plan` shows and `ktserver up` starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ktclient.config.settings import Settings, environment
from server_bundle.errors import PlanRefused
from server_bundle.plan import build, installation, interpreter, key_file, machine, overrides
from server_bundle.plan import profile as plan_profile
from server_bundle.plan.flags import Planned
from server_bundle.plan.memory import gpus, model_config
from server_bundle.plan.memory.model_config import ModelConfig
from server_bundle.plan.overrides import Overrides

_ENTRY = Path(overrides.__file__).with_name(overrides.ENTRY)


@dataclass(frozen=True)
class PlanOptions:
    """The options as typed; None or empty if not given."""

    profile: str
    model: str
    python: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    host: str | None = None
    port: int | None = None
    tensor_parallel_size: int | None = None
    context: int | None = None
    mem_fraction: float | None = None
    gpu: str | None = None
    gpu_memory: float | None = None
    """GiB."""
    env: tuple[str, ...] = ()
    """NAME=VALUE."""
    served_model_name: str | None = None
    as_guide: bool = False
    extra: tuple[str, ...] = ()


def require_profile(name: str) -> None:
    """Raises `NoSuchProfile`: to be said before a missing model."""
    plan_profile.load(name)


def work_out(wanted: PlanOptions, settings: Settings) -> Planned:
    """The plan for this machine, with its reasons. Writes nothing.

    If the settings have an API key, the server will require it: see `write_key`. Raises
    `NoSuchProfile` and `PlanRefused`.
    """
    chosen = plan_profile.load(wanted.profile)
    python = _python(wanted, settings, chosen.engine)
    if refusal := installation.refusal(python):
        raise PlanRefused(refusal)
    engine, version = wanted.engine, wanted.engine_version
    found = interpreter.engine_of(python)
    if found is not None and engine in (None, found[0]):
        engine, version = found[0], found[1] if version is None else version
    model, named = _model(wanted.model, settings)
    wish = Overrides(
        model=model,
        python=python,
        engine=engine,
        version=version,
        host=wanted.host,
        port=wanted.port,
        gpus=wanted.tensor_parallel_size,
        context=wanted.context,
        mem_fraction=wanted.mem_fraction,
        served_name=wanted.served_model_name or chosen.served_name or named,
        key_config=str(settings.state.root / key_file.NAME),
        entry=str(_ENTRY),
        extra=wanted.extra,
        environment=overrides.environment_of(wanted.env),
        gpu=gpus.of_options(wanted.gpu, wanted.gpu_memory),
        config=_config(model, settings),
        as_guide=wanted.as_guide,
    )
    here = machine.with_cards(machine.read())
    planned = build.with_differences(chosen, wish, here)
    key = settings.key_of_started(planned.plan.url)
    if key is None:
        return build.with_differences(chosen, replace(wish, key_config=None), here)
    key_file.check(key)
    return planned


def _python(wanted: PlanOptions, settings: Settings, engine: str) -> str:
    """The interpreter that is named, else the configured one of the engine, else one with an
    engine."""
    given = wanted.python or settings.interpreter_of(wanted.engine or engine)
    return interpreter.absolute(given) if given else interpreter.default()


def _config(model: str, settings: Settings) -> ModelConfig:
    """The model's config.json, wherever it is on this machine."""
    found = model_config.find(model, environment())
    if found is None:
        return ModelConfig(model, trouble="there is no config.json of it on this machine")
    return model_config.read(found)


def write_key(planned: Planned, settings: Settings) -> Path | None:
    """Write the key file of a plan, before it is run or exported; None if it has no key."""
    key = settings.key_of_started(planned.plan.url)
    if key and str(settings.state.root / key_file.NAME) in planned.plan.argv:
        return key_file.write(settings.state.make_root().root, key)
    return None


def _model(text: str, settings: Settings) -> tuple[str, str | None]:
    """The model as the server gets it: a folder as an absolute path, for a server that starts
    elsewhere; a hub name unchanged, or the folder of `ktserver fetch` where that has its weights,
    with the name that clients see."""
    path = Path(text).expanduser()
    if path.exists() or text.startswith(("~", ".", "/")):
        return str(path.absolute()), None
    organization, slash, name = text.partition("/")
    fetched = settings.cache / "weights" / f"{organization}--{name}"
    if slash and "/" not in name and (fetched / model_config.NAME).is_file():
        return str(fetched), name
    return text, None
