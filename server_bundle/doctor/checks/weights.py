"""The weights: complete, of the right size, and of the model that the plan is for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from server_bundle.doctor.case import Case
from server_bundle.doctor.checks import fetched
from server_bundle.doctor.facts import safetensors
from server_bundle.doctor.facts.safetensors import Checkpoint
from server_bundle.doctor.finding import Finding, error, note, ok, warning

_ABOUT = "weights"
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_NAMED = 5
"""How many files are named individually."""
_FETCH = "download them again; `ktserver fetch` continues where it stopped"
_FAMILIES = (
    ("deepseek-v4", "DeepseekV4"),
    ("deepseek-v3", "DeepseekV3|DeepseekV32"),
    ("kimi", "Kimi|Deepseek"),
    ("glm", "Glm|ChatGLM"),
    ("minimax", "MiniMax"),
    ("qwen3", "Qwen3"),
)
"""Prefix of a profile's name, and a pattern for the start of the architecture in config.json."""


def check(case: Case) -> Iterator[Finding]:
    """Check the model's folder, and the experts' folder if it is another."""
    seen = case.checkpoint
    if not seen.is_there and _HUB_NAME.fullmatch(str(case.plan.model)):
        why = "the server may download it first, and it cannot be checked here"
        cure = "run hf download, then set --model to the folder that it prints"
        yield note(_ABOUT, f"{case.plan.model} is a name on the hub, not a folder", why, "", cure)
        return
    if not seen.is_there:
        yield _no_folder(seen.folder)
        return
    yield from fetched.check(seen.folder)
    if case.flags.text("--load-format") == "dummy":
        why = "the answers are meaningless"
        yield note(_ABOUT, "random weights (--load-format dummy)", why, "")
    else:
        yield from _whole(seen)
    yield from _fits(case)
    other = case.flags.text("--kt-weight-path")
    if other and Path(other).resolve() != seen.folder.resolve():
        yield from _experts(Path(other))
    elif other is None and case.flags.has_any("--kt-"):
        why = "without it all experts go to the GPUs, which run out of memory"
        cure = "add it, with the folder of the weights"
        yield error(_ABOUT, "no --kt-weight-path", why, "KT #2099", cure)


def _no_folder(folder: Path) -> Finding:
    """A path that is no folder: what is there instead."""
    why = "sglang would treat it as a name on the Hugging Face hub, and fail after a minute"
    if folder.is_file():
        cure = f"name the folder of the weights: --model {folder.parent}"
        return error(_ABOUT, f"{folder} is a file, not a folder", why, "", cure)
    cure = "correct --model"
    try:
        beside = [one.name for one in folder.parent.iterdir() if one.is_dir()]
    except OSError:
        beside = []
    if close := difflib.get_close_matches(folder.name, beside, 1):
        cure = f"correct --model: there is {folder.parent / close[0]}"
    return error(_ABOUT, f"the folder {folder} does not exist", why, "", cure)


def _whole(seen: Checkpoint) -> Iterator[Finding]:
    if seen.trouble:
        why = "the server cannot read the model's configuration"
        yield error(_ABOUT, f"{seen.folder}: {seen.trouble}", why, "", _FETCH)
    if not seen.sizes and not seen.missing:
        others = f", only {', '.join(seen.others[:3])}" if seen.others else ""
        why = "Cannot find any model weights"
        yield error(_ABOUT, f"no .safetensors in {seen.folder}{others}", why, "", _FETCH)
        return
    if seen.missing:
        found = f"{len(seen.missing)} files of the index are missing: "
        yield error(_ABOUT, found + _listed(seen.missing), "loading fails", "", _FETCH)
    if seen.damaged:
        words = [
            f"{one.name} ({one.why}: {one.size:,} bytes"
            + (f" instead of {one.expected:,})" if one.expected is not None else ")")
            for one in seen.damaged
        ]
        why = "SafetensorError: Error while deserializing header"
        yield error(_ABOUT, _listed(words), why, "the safetensors format", _FETCH)
    if seen.absent_tensors:
        found = f"{seen.absent_tensors:,} tensors of the index are in none of the files"
        yield error(_ABOUT, found, "files of several versions are mixed", "", _FETCH)
    if seen.unfinished and not seen.is_whole:
        found = f"a download is unfinished: {_listed(seen.unfinished)}"
        yield note(_ABOUT, found, "", "", "wait for it, or restart it")
    if seen.is_whole:
        size = seen.total / (1 << 30)
        yield ok(_ABOUT, f"{len(seen.sizes)} files, {size:,.1f} GiB, all of the right size")


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _fits(case: Case) -> Iterator[Finding]:
    named = case.checkpoint.architectures
    expected = next(
        (words for start, words in _FAMILIES if case.plan.profile.startswith(start)), ""
    )
    if named and expected and not re.match(expected, named[0]):
        seen = f"{named[0]}, but the profile is {case.plan.profile}"
        why = "the profile's flags and variables are for another model"
        cure = "choose another --profile (ktserver profiles) or another --model"
        yield error(_ABOUT, seen, why, "config.json", cure)
    if "auto_map" in case.checkpoint.config and not case.flags.has("--trust-remote-code"):
        why = "if the installed transformers does not support the model, it refuses to load it"
        cure = "add --trust-remote-code, if you trust the author of the folder"
        yield warning(_ABOUT, "the model contains its own Python code", why, "config.json", cure)
    yield from _window(case)


def _window(case: Case) -> Iterator[Finding]:
    own = case.checkpoint.config.get("max_position_embeddings")
    scaling = case.checkpoint.config.get("rope_scaling")
    factor = scaling.get("factor", 1) if isinstance(scaling, dict) else 1
    if not isinstance(own, int) or not isinstance(factor, (int, float)) or not case.plan.context:
        return
    longest = own * max(1.0, factor)
    if case.plan.context > longest and (
        case.environment.get("SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN") is None
    ):
        found = f"--context-length {case.plan.context:,}, but the model's window is {longest:,.0f}"
        why = "context_length is greater than the derived context_length"
        cure = f"use --context-length {longest:.0f} or less"
        yield error(_ABOUT, found, why, "sglang configs/model_config.py", cure)


def _experts(folder: Path) -> Iterator[Finding]:
    seen = safetensors.look(folder)
    if not seen.is_there:
        found = f"the folder of --kt-weight-path, {folder}, does not exist"
        yield error(_ABOUT, found, "the experts are loaded from it", "", "correct --kt-weight-path")
        return
    yield from fetched.check(folder)
    if seen.sizes or seen.missing:
        # Converted experts have no config.json: check only the files.
        seen.trouble = ""
        yield from _whole(seen)
    elif not seen.others:
        found = f"no weights in {folder}, the folder of --kt-weight-path"
        yield error(_ABOUT, found, "the experts are loaded from it", "", "correct --kt-weight-path")
