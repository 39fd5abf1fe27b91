"""Count with tiktoken: its only user, imported when something is counted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import tiktoken

from ktclient.tokens.kimi import slices
from ktclient.tokens.pattern import BORDERS
from ktclient.tokens.ranks import Ranks

_PART = 1 << 16
"""Characters per call: the list of tokens of a whole novel would be 30 MB."""


class Counter:
    """One vocabulary, ready to count. Starts no thread."""

    def __init__(self, ranks: Ranks) -> None:
        self._encoding = tiktoken.Encoding(
            ranks.source, pat_str=ranks.pattern, mergeable_ranks=ranks.tokens, special_tokens={}
        )
        self._border = re.compile(BORDERS[ranks.border])
        self._nfc = ranks.nfc
        self._marks = ranks.marks
        self._lacking = set(ranks.lacking)
        self._slices = ranks.slices

    def count(self, text: str) -> int:
        """The number of tokens of `text`; nothing in it is a special token."""
        whole = slices(text, *self._slices) if self._slices else [text]
        return sum(len(self.encode(part)) for one in whole for part in self._parts(one))

    def encode(self, text: str) -> list[int]:
        """The tokens of `text` as ranks, not as the model's ids, in one call."""
        if self._nfc:
            text = unicodedata.normalize("NFC", text)
        return self._encoding.encode_ordinary(text)

    def _parts(self, text: str) -> Iterator[str]:
        start = 0
        while start < len(text):
            border = self._border.search(text, start + _PART)
            end = border.end() if border else len(text)
            yield text[start:end]
            start = end

    def doubts(self, text: str) -> str | None:
        """Why a server might count differently, or None.

        A server reads each chat-template mark as one token, even inside a document (tokenizers'
        `added_tokens`; sglang and transformers have no switch for it). And composing text needs
        Unicode's tables: the server's may be newer than this Python's.
        """
        mark = self._mark_in(text)
        if mark:
            return f"the text contains {mark}, which the server may read as one token"
        characters = set(text) if self._nfc or self._lacking else set()
        for one in characters:
            if self._lacking.intersection(one.encode("utf-8", "surrogatepass")):
                return f"the vocabulary has no token for U+{ord(one):04X}"
        if self._nfc:
            unknown = [one for one in characters if unicodedata.category(one) == "Cn"]
            if unknown:
                return f"this Python does not know U+{ord(unknown[0]):04X}"
        return None

    def _mark_in(self, text: str) -> str | None:
        """A mark that occurs; searches the few distinct beginnings first, as there are a thousand
        marks."""
        starts = {mark[:2] for mark in self._marks}
        present = {start for start in starts if start in text}
        return next((m for m in self._marks if m[:2] in present and m in text), None)
