"""What `docker run` (or podman) says of a container that matters for a server in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_PROGRAMS = ("docker", "podman", "nerdctl")
_VERSION = re.compile(r":v?(\d+\.\d+\.\d+(?:\.?(?:post|rc)\d+)?)(?![\d.])")
_SHORT = {"-e": "--env", "-p": "--publish", "-m": "--memory"}
_SAME = {"--net": "--network"}


@dataclass(frozen=True)
class Container:
    """The options of one `docker run` before the server's command. `image`: as it was typed."""

    image: str
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By the long name, each with all its values."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it sets with a value."""
        pairs = (one.partition("=") for one in self.options.get("--env", ()))
        return {name: value for name, equals, value in pairs if equals}

    @property
    def version(self) -> str | None:
        """The version of sglang by the image's tag, for lmsysorg's own images."""
        found = _VERSION.search(self.image)
        return found[1] if found and "lmsysorg/sglang" in self.image else None

    @property
    def has_gpus(self) -> bool:
        asked = {"--gpus", "--device", "--runtime"} & set(self.options)
        return bool(asked) or "NVIDIA_VISIBLE_DEVICES" in self.environment

    @property
    def shares_memory(self) -> bool:
        """Whether /dev/shm is not Docker's 64 MB."""
        return "--shm-size" in self.options or "host" in self.options.get("--ipc", ())

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach a port that the server opens on 0.0.0.0."""
        published = self.options.get("--publish", ())
        is_local = all(one.startswith(("127.", "localhost:", "[::1]:")) for one in published)
        return "host" in self.options.get("--network", ()) or not is_local


def split(words: Sequence[str]) -> tuple[Container | None, list[str]]:
    """The container, and the command in it; None and all words where no container is started.

    Raises ValueError for an image without a command: its own program chooses the flags.
    """
    at = next((n for n, word in enumerate(words) if word.rsplit("/", 1)[-1] in _PROGRAMS), None)
    if at is None or "run" not in words[at + 1 : at + 3]:
        return None, list(words)
    rest = list(words[at + 1 + words[at + 1 :].index("run") + 1 :])
    start = _start(rest)
    if start is None:
        raise ValueError(
            "it contains no `python -m sglang.launch_server` or `sglang serve` after the image, "
            "whose own program chooses the flags: add the command that it runs (docker inspect "
            "--format '{{.Config.Entrypoint}} {{.Config.Cmd}}' IMAGE)"
        )
    before, command = rest[: max(0, start - 1)], rest[start:]
    options = _options(before)
    if command[0] == "-m":  # the interpreter is --entrypoint
        command = [(options.get("--entrypoint") or ("python3",))[-1], *command]
    return Container(rest[start - 1] if start else "", options), command


def _start(words: Sequence[str]) -> int | None:
    """Where the command begins: its program, or `-m` after an image with an entry point."""
    for at, word in enumerate(words):
        if word == "-m" and words[at + 1 : at + 2] == ["sglang.launch_server"]:
            is_python = at and re.fullmatch(r"python[\d.]*", words[at - 1].rsplit("/", 1)[-1])
            return at - 1 if is_python and at > 1 else at
        if word.rsplit("/", 1)[-1] == "sglang" and words[at + 1 : at + 2] == ["serve"]:
            return at
        if word.rsplit("/", 1)[-1] == "kt" and words[at + 1 : at + 2] == ["run"]:
            return at
    return None


def _options(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Options as `--a b` and `--a=b`; words between them are values of options without an =."""
    found: dict[str, tuple[str, ...]] = {}
    for at, word in enumerate(words):
        if not word.startswith("-"):
            continue
        name, equals, value = word.partition("=")
        name = _SHORT.get(name, _SAME.get(name, name))
        if not equals and at + 1 < len(words) and not words[at + 1].startswith("-"):
            value = words[at + 1]
        found[name] = (*found.get(name, ()), value)
    return found
