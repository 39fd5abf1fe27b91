"""Options of a server's command line, as `--a b` or `--a=b`. The last of several counts."""

from __future__ import annotations

from collections.abc import Sequence


class Flags:
    """The options of one command line."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._given: dict[str, str] = {}
        for position, word in enumerate(argv):
            if word.startswith("--"):
                name, equals, value = word.partition("=")
                following = argv[position + 1] if position + 1 < len(argv) else ""
                self._given[name] = (
                    value if equals else ("" if following.startswith("--") else following)
                )

    def has(self, *names: str) -> bool:
        """Whether one of these options is given."""
        return any(name in self._given for name in names)

    def has_any(self, start: str) -> bool:
        """Whether an option with this prefix is given."""
        return any(name.startswith(start) for name in self._given)

    def text(self, *names: str) -> str | None:
        """The value of an option by any of its names; None where it is not given."""
        return next((self._given[name] for name in names if name in self._given), None)

    def whole(self, *names: str) -> int | None:
        """The same as a whole number; None also for another value."""
        value = self.text(*names)
        return int(value) if value is not None and value.isdigit() else None

    def fraction(self, *names: str) -> float | None:
        """The same as a number."""
        try:
            return float(self.text(*names) or "")
        except ValueError:
            return None
