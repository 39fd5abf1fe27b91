"""The arguments of a server as a list that can be changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server_bundle.errors import PlanRefused

_SAME = {"--model-path": "--model", "--tp-size": "--tensor-parallel-size"}
_SAME |= {"--tp": "--tensor-parallel-size", "--ctx-length": "--context-length"}


class Arguments:
    """Flags with their values, in order. A flag with several names is stored once."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, tuple[str, ...]]] = {}

    def put(self, name: str, values: Iterable[str] = ()) -> None:
        """Set a flag: in its place if it exists, else at the end."""
        key = _SAME.get(name, name)
        spelled = self._values[key][0] if key in self._values else name
        self._values[key] = (spelled, tuple(values))

    def drop(self, name: str) -> None:
        self._values.pop(_SAME.get(name, name), None)

    def __contains__(self, name: str) -> bool:
        return _SAME.get(name, name) in self._values

    def value(self, name: str) -> str | None:
        """The flag's first value; None when it is not given or has no value."""
        _, values = self._values.get(_SAME.get(name, name), ("", ()))
        return values[0] if values else None

    def words(self) -> list[str]:
        """All flags and values, as command-line words."""
        return [word for name, values in self._values.values() for word in (name, *values)]


def parse(words: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Parse sglang flags as typed: `--a`, `--b 1`, `--c=1`, `--d 1 2`. Raises `PlanRefused`."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            found.append((name, (value,) if equals else ()))
        elif found:
            found[-1] = (found[-1][0], (*found[-1][1], word))
        else:
            raise PlanRefused(
                f"{word!r} is not a flag of the server: give only flags after `--`, such as --x 1"
            )
    return found
