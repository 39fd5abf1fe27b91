"""Options of a typed command whose value is no number although sglang takes nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from server_bundle import package_data

_TABLE = Path(__file__).with_name("numbers.toml")
_PORT = "--port"
_HIGHEST_PORT = 65_535


@cache
def _kinds() -> dict[str, type[int] | type[float]]:
    table = package_data.read(_TABLE)
    return {name: int for name in table["whole"]} | {name: float for name in table["fraction"]}


def refused(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each option that ends the start, with the reason. `given`: values by option; of one without a
    value, any word."""
    for name, value in given.items():
        kind = _kinds().get(name)
        if kind is None:
            continue
        try:
            number = kind(value)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            yield name, f"this is not {what}: the start ends with an error"
            continue
        if name == _PORT and not 0 < number <= _HIGHEST_PORT:
            yield name, f"there is no such port: the highest is {_HIGHEST_PORT:,}"
