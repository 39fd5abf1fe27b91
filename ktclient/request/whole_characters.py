"""Characters from text that arrives in pieces.

JSON writes a character beyond U+FFFF as two halves, and some gateways cut between them. A half is
no character: no database and no terminal takes one.
"""

from __future__ import annotations


class WholeCharacters:
    """Joins halves over the pieces of one text; what is never whole becomes U+FFFD."""

    def __init__(self) -> None:
        self._half = ""

    def take(self, piece: str) -> str:
        """What is whole by now; a first half at the end waits for its second. Raises `TypeError`
        for what is no text."""
        text, self._half = self._half + piece, ""
        if text.isascii():
            return text
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return _whole(text)

    def rest(self) -> str:
        """What still waits, when nothing more comes."""
        return _whole(self.take("") + self._half)


def _whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
