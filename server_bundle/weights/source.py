"""Which model is meant: a hub, a repository there, and a revision."""

from __future__ import annotations

import re
from dataclasses import dataclass

from server_bundle.errors import FetchRefused

HUGGING_FACE = "huggingface"
MODELSCOPE = "modelscope"
HUBS = (HUGGING_FACE, MODELSCOPE)
_PREFIXES = {"huggingface:": HUGGING_FACE, "hf:": HUGGING_FACE, "modelscope:": MODELSCOPE}
_SITES = re.compile(
    r"https?://(?:www\.)?(?:(?P<hf>huggingface\.co|hf\.co)|modelscope\.(?:cn|ai)/models)/"
    r"(?P<repo>[^/?#]+/[^/?#]+)(?:/(?:tree|resolve|blob)/(?P<revision>[^/?#]+))?/?(?:[?#].*)?"
)
_PART = re.compile(r"[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)
"""An owner or a name, as both hubs allow them: up to 96 characters, no dot or hyphen at an end."""
_REVISION = re.compile(r"[\w][\w./+-]{0,199}", re.ASCII)
_NAMES = {HUGGING_FACE: "Hugging Face", MODELSCOPE: "ModelScope"}


@dataclass(frozen=True)
class Source:
    """`revision`: a branch, a tag or a commit, as typed; empty for the hub's default."""

    hub: str
    repo: str
    revision: str = ""

    @property
    def hub_name(self) -> str:
        return _NAMES[self.hub]

    @property
    def name(self) -> str:
        """The last part of the repository's name."""
        return self.repo.rpartition("/")[2]

    def __str__(self) -> str:
        prefix = "modelscope:" if self.hub == MODELSCOPE else ""
        return f"{prefix}{self.repo}" + (f"@{self.revision}" if self.revision else "")


def parse(text: str, hub: str | None = None) -> Source:
    """What was typed: `org/name`, `org/name@revision`, `modelscope:org/name`, or a page's URL.
    `hub`: given by an option. Raises `FetchRefused` with what is wrong."""
    found = _SITES.fullmatch(text)
    if found is not None:
        named, rest = (HUGGING_FACE if found["hf"] else MODELSCOPE), found["repo"]
        revision = found["revision"] or ""
    else:
        prefix = next((one for one in _PREFIXES if text.startswith(one)), "")
        named = _PREFIXES.get(prefix, hub or HUGGING_FACE)
        rest, at, revision = text[len(prefix) :].partition("@")
        if at and not revision:
            raise FetchRefused(f"{text}: the revision after @ is missing")
    if hub is not None and named != hub:
        raise FetchRefused(f"{text} is on {_NAMES[named]}, but --from says {hub}: leave out one")
    _check(text, rest, revision)
    return Source(named, rest, revision)


def _check(text: str, repo: str, revision: str) -> None:
    parts = repo.split("/")
    if len(parts) != 2:
        raise FetchRefused(
            f"{text!r} is no model on a hub: name it org/name, such as Qwen/Qwen3-8B. For the "
            "weights of a folder use `ktserver plan --model DIR`; the embedded model is fetched "
            "by `ktserver up`"
        )
    if any(not _PART.fullmatch(one) or ".." in one for one in parts):
        raise FetchRefused(
            f"{text!r} is no model on a hub: an owner and a name have letters, digits, '-', '_' "
            "and '.', at most 96, without '..' and without '-' or '.' at an end"
        )
    if revision and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise FetchRefused(f"{revision!r} is no revision: use a branch, a tag or a commit")
