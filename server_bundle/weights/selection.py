"""Which files of a repository an engine reads: one format of weights, the configuration, the
tokenizer, the model's own code. The rest is named with its reason.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from server_bundle.errors import FetchRefused
from server_bundle.transfers.origin import RemoteFile

SAFETENSORS, GGUF, PICKLED = "safetensors", "GGUF", "PyTorch"
_FORMATS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (SAFETENSORS, (".safetensors",)),
    (GGUF, (".gguf",)),
    (PICKLED, (".bin", ".pt", ".pth")),
)
"""The best format first: where a repository has several, they hold the same weights."""
_SMALL = {".json", ".txt", ".model", ".tiktoken", ".jinja", ".py", ".yaml", ".yml", ".md"}
_LEGAL = ("license", "notice", "copying", "use_policy")
_SHARD = re.compile(r"-\d{5}-of-\d{5}(?=\.)")
_INDEX = re.compile(r".*\.(safetensors|bin)\.index\.json")
_WHOLE_COPY = re.compile(r"consolidated[\w.-]*\.safetensors")
"""Mistral's and Meta's second copy of the weights, in their own libraries' layout."""


@dataclass(frozen=True)
class LeftOut:
    """Files that are not fetched, and why. `size` in bytes, of all of them."""

    why: str
    paths: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Selection:
    """What is fetched, and what is not."""

    wanted: tuple[RemoteFile, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def size(self) -> int:
        return sum(one.size for one in self.wanted)


def select(
    files: Sequence[RemoteFile], include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Selection:
    """The selection by the patterns, as `hf download` understands them: with `include` only files
    that match one; without it, what engines read. Raises `FetchRefused` if nothing is left, or if
    several GGUF models are left and none was chosen."""
    reasons = {one.path: _why_not(one, files, include, exclude) for one in files}
    wanted = tuple(one for one in files if not reasons[one.path])
    if not wanted:
        what = (
            "no file of it matches" if include or exclude else "it has no files that engines read"
        )
        raise FetchRefused(
            f"{what}: see its list of files on the hub, and name some with --include"
        )
    if not include:
        _refuse_several(wanted)
    return Selection(wanted, _grouped(files, reasons))


def _why_not(
    file: RemoteFile, files: Sequence[RemoteFile], include: Sequence[str], exclude: Sequence[str]
) -> str:
    """Why a file is not fetched; empty if it is."""
    if _matches(file.path, exclude):
        return "excluded by --exclude"
    if include:
        return "" if _matches(file.path, include) else "not matched by --include"
    kind = _format_of(file.path)
    if kind is None:
        return "" if _is_small_part(file.path) else "not read by inference engines"
    best = next(name for name, _ in _FORMATS if any(_format_of(one.path) == name for one in files))
    if kind != best:
        return f"the same weights as {kind}, beside {best}"
    return _why_a_copy(file.path, [one.path for one in files if _format_of(one.path) == best])


def _why_a_copy(path: str, same: Sequence[str]) -> str:
    at_the_top = [one for one in same if "/" not in one and not _WHOLE_COPY.fullmatch(one)]
    if at_the_top and "/" in path:
        return "weights in a subfolder, beside those at the top"
    if at_the_top and _WHOLE_COPY.fullmatch(path):
        return "a second copy of the weights (consolidated)"
    return ""


def _format_of(path: str) -> str | None:
    """The format of a file of weights, or of its index; None for other files."""
    if (index := _INDEX.fullmatch(path)) is not None:
        return SAFETENSORS if index[1] == "safetensors" else PICKLED
    return next((name for name, ends in _FORMATS if path.lower().endswith(ends)), None)


def _is_small_part(path: str) -> bool:
    name = PurePosixPath(path)
    if any(part.startswith(".") for part in name.parts):
        return False
    return name.suffix.lower() in _SMALL or name.name.lower().startswith(_LEGAL)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    """As huggingface_hub's `filter_repo_objects`: `*` also matches a slash, and a folder means all
    that is in it."""
    return any(
        fnmatch.fnmatchcase(path, one + "*" if one.endswith("/") else one) for one in patterns
    )


def _refuse_several(wanted: Sequence[RemoteFile]) -> None:
    models: dict[str, int] = {}
    for one in wanted:
        if _format_of(one.path) == GGUF and "mmproj" not in one.path:
            name = _SHARD.sub("*", one.path)
            models[name] = models.get(name, 0) + one.size
    if len(models) > 1:
        listed = ", ".join(
            f"{name} ({size / 1e9:,.1f} GB)" for name, size in list(sorted(models.items()))[:8]
        )
        raise FetchRefused(
            f"it has {len(models)} GGUF models, of which a server needs one: {listed}. Choose one: "
            f"--include '{next(iter(sorted(models)))}'"
        )


def _grouped(files: Sequence[RemoteFile], reasons: dict[str, str]) -> tuple[LeftOut, ...]:
    groups: dict[str, list[RemoteFile]] = {}
    for one in files:
        if reasons[one.path]:
            groups.setdefault(reasons[one.path], []).append(one)
    return tuple(
        LeftOut(why, tuple(one.path for one in group), sum(one.size for one in group))
        for why, group in groups.items()
    )
