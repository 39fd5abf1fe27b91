"""Options in a server's command line, in either spelling; the last of several counts."""

from __future__ import annotations

from collections.abc import Sequence


class Flags:
    """What a server is started with."""

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
        """Whether one of these is given."""
        return any(name in self._given for name in names)

    def has_any(self, start: str) -> bool:
        """Whether an option is given that begins like this."""
        return any(name.startswith(start) for name in self._given)

    def text(self, *names: str) -> str | None:
        """The value of one of these names of an option; None where it is not given."""
        return next((self._given[name] for name in names if name in self._given), None)

    def whole(self, *names: str) -> int | None:
        """The same as a whole number; None also where it is none."""
        value = self.text(*names)
        return int(value) if value is not None and value.isdigit() else None

    def fraction(self, *names: str) -> float | None:
        """The same as a number."""
        try:
            return float(self.text(*names) or "")
        except ValueError:
            return None
