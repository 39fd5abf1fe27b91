"""The tags around a model's thoughts, and when one in a text is a tag and no mention of it.

A model writes its tags as special tokens, so they stand where no prose has them: at the
beginning, on a line of their own, directly behind the end of a sentence. Who writes about a tag
puts it between blanks, quotes, backticks or brackets, or into a block of code.
"""

from __future__ import annotations

import re

PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel>thought", "<channel|>"),
)
"""Opening and closing tag: DeepSeek, Qwen, GLM, MiniMax …; models that imitate Claude; Gemini;
Seed-OSS; LongCat; Mistral; Kimi; Cohere; OpenThinker; Gemma 4. `<reasoning>` and the like are
missing: prompts ask for them as a part of the answer."""
FRAMES = (
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("<|START_TEXT|>", "<|END_TEXT|>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
)
"""Around an answer after thoughts: Cohere, OpenThinker. They belong to neither."""
WINDOW = 200
"""Characters after a tag, within its line, that may decide about it."""

_SENTENCE_ENDS = frozenset(".!?…。！？}]")  # noqa: RUF001 - Chinese punctuation is intended
_NEVER_BEFORE = frozenset("([{<=/+&|“‘«„「『（【《")  # noqa: RUF001
"""What stands directly before a tag only if the text mentions it."""
_NEVER_AFTER = frozenset(".,;:!?)”’»」』）】》。，；：！？、")  # noqa: RUF001
_QUOTES = frozenset("'\"`*_")
_FENCED_LINE = re.compile(r"^[^\S\n]*(```|~~~)", re.M)
_NUMBER = re.compile(r"\d{1,3}[.)]\s*")
"""What begins an item of a numbered list."""
_HEAD = 8
"""Characters at the beginning of a line that are kept."""
_QUOTE = re.compile(r'(?<!\\)"')


class Line:
    """The line on which a text stands, and whether a block of code is open there. Grows with the
    text; keeps a few characters."""

    def __init__(self) -> None:
        self._head = self._fence = ""
        self._ticks = self._quotes = self._stars = self._length = 0
        self.last = ""
        """The last character of the line so far; empty at its beginning."""
        self.last_visible = ""
        """The same without blanks."""

    def grow(self, text: str) -> None:
        """Continue with this text."""
        first, line_end, rest = text.partition("\n")
        self._continue(first)
        if not line_end:
            return
        self._end()
        middle, _, last = rest.rpartition("\n")
        for fence in _FENCED_LINE.finditer(middle):
            self._toggle(fence.group(1))
        self._continue(last)

    def _continue(self, text: str) -> None:
        if not text:
            return
        if len(self._head) < _HEAD:
            self._head = (self._head + text).lstrip()[:_HEAD]
        self._length = min(self._length + len(text), WINDOW)
        self._stars += text.count("*")
        self._ticks += text.count("`")
        self._quotes += text.count('"') - text.count('\\"')
        self.last = text[-1]
        self.last_visible = text.rstrip()[-1:] or self.last_visible

    def _end(self) -> None:
        if fence := _FENCED_LINE.match(self._head):
            self._toggle(fence.group(1))
        self._head = self.last = self.last_visible = ""
        self._ticks = self._quotes = self._stars = self._length = 0

    def _toggle(self, fence: str) -> None:
        """A line that begins with this: it opens a block, or closes one that began so."""
        if not self._fence:
            self._fence = fence
        elif self._fence == fence:
            self._fence = ""

    def is_surely_quoted(self, after: str) -> bool:
        """Whether a tag here, with this text after it, stands directly between two quotes."""
        is_between = self.last in _QUOTES and self.last == after[:1]
        counts = {"`": self._ticks % 2, '"': self._quotes % 2, "*": self._stars % 4}
        is_open = counts.get(self.last, 1)
        return is_between and bool(is_open)

    def is_quoted(self, after: str) -> bool:
        """Whether a tag here seems to be in a block or piece of code, in quotes or brackets."""
        rest = after.split("\n", 1)[0]
        is_in_block = self._fence and not self._head.startswith(self._fence)
        if is_in_block or self.last in _NEVER_BEFORE or self.is_surely_quoted(after):
            return True
        if self.last == ">" and rest.startswith("</"):  # within an element
            return True
        if self._ticks % 2 and "`" in rest:
            return True
        return bool(self._quotes % 2) and _closes_quote(rest)

    def is_mention(self, after: str) -> bool:
        """Whether a tag here is one that the text only speaks of: in quotes, or like a word in a
        sentence."""
        rest = after.split("\n", 1)[0]
        if self.is_quoted(after) or rest[:1] in _NEVER_AFTER:
            return True
        if self.last and not self.last.isspace():
            return _is_east_asian(self.last) and _is_east_asian(rest[:1])
        is_item = self._length <= _HEAD and _NUMBER.fullmatch(self._head)
        is_behind_prose = self.last_visible and (is_item or self.last_visible not in _SENTENCE_ENDS)
        is_before_prose = rest[:1].isspace() and rest.lstrip()[:1].islower()
        return bool(is_behind_prose or is_before_prose)


def _is_east_asian(character: str) -> bool:
    """Whether it is a letter of a script that has no blanks between words."""
    return character.isalpha() and character >= "\u2e80"


def _closes_quote(rest: str) -> bool:
    """Whether the first quote in the rest of a line closes one, by what is beside it."""
    quote = _QUOTE.search(rest)
    if quote is None:
        return False
    before, after = rest[: quote.start()][-1:], rest[quote.end() :][:1]
    return not (before.isspace() or before in ("{", "[", "(", ":", ",")) and not after.isalnum()
