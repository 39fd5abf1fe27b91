"""Join characters from text that arrives in pieces.

JSON writes a character beyond U+FFFF as two surrogates, and some gateways cut between them. A lone
surrogate is not a character: no database and no terminal accepts it.
"""

from __future__ import annotations


class WholeCharacters:
    """Joins surrogates across the pieces of one text; an unpaired one becomes U+FFFD."""

    def __init__(self) -> None:
        self._half = ""

    def take(self, piece: str) -> str:
        """The complete characters so far; a first surrogate at the end waits for its second. Raises
        `TypeError` if `piece` is not text."""
        text, self._half = self._half + piece, ""
        if text.isascii():
            return text
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return _whole(text)

    def rest(self) -> str:
        """The rest of the text, at its end."""
        return _whole(self.take("") + self._half)


def _whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
