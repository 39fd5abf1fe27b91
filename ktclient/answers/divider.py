"""Divide one output into thoughts and the answer while it arrives; `thoughts` has the rules.

The content is read from left to right, by what may come next: thoughts, a message of gpt-oss, or
the answer. A step takes from the content what is certain and leaves the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ktclient.answers import channels, tags
from ktclient.answers.stretches import ANSWER_CHANNEL, THOUGHTS_CHANNEL, Kind, Stretch
from ktclient.answers.tags import Line

_CLOSING = {opening.lower(): closing for opening, closing in tags.PAIRS}
_FRAME_END = dict(tags.FRAMES)
_BLANKS = re.compile(r"\s*")
_NEXT_WORD = re.compile(r"[ \t]*[^ \t]")


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, words)), re.I)


_OPENINGS, _CLOSINGS = _any_of(_CLOSING), _any_of(_CLOSING.values())
_FRAMES = _any_of(_FRAME_END)
_LITERALS = (
    *(*_CLOSING, *_CLOSING.values(), *_FRAME_END, *_FRAME_END.values(), *channels.MARKS),
    *("assistantfinal", "analysis\0"),
)
_OPEN = re.compile(
    f"{_OPENINGS.pattern}|{_CLOSINGS.pattern}|{channels.NEXT.pattern}|assistantfinal", re.I
)
"""What may matter while it is open whether the content began with thoughts."""
_LONGEST = max(map(len, _LITERALS))
_BEGINNINGS = frozenset(
    word[:length].lower() for word in _LITERALS for length in range(1, len(word))
)


def _unfinished(text: str, start: int) -> int:
    """Where a tag may begin that is not complete: the text's length if none does."""
    for length in range(min(_LONGEST, len(text) - start), 0, -1):
        if text[-length:].lower() in _BEGINNINGS:
            return len(text) - length
    return len(text)


class Divider:
    """Divides one attempt's output while it arrives. With `holds`, a text that may turn out to be
    thought is passed on when that is decided, at the end at the latest, and never recalled."""

    def __init__(self, *, holds: bool = False) -> None:
        self._holds = holds
        self._held: list[str] | None = None
        self._text, self._at = "", 0
        self._is_end = False
        self._step: Callable[[], bool] = self._begin
        """Takes from the text at `_at`; False if it needs more."""
        self._out: list[Stretch] = []
        self._blanks: list[str] = []
        self._line = Line()
        self._has_thoughts = self._is_bare = False
        self._own = ""
        """The opening tag with which this model thinks."""
        self._mentioned: set[str] = set()
        self._is_doubtful = False
        """Whether the answer seems to begin with a mention of an opening tag."""
        self._ends = re.compile("")
        """What ends the present block of thoughts, or message."""
        self._kept: list[str] | None = None
        """Thoughts since a tag about which there is doubt, the tag included."""
        self._is_later = self._is_final = False
        self._frame_end: re.Pattern[str] | None = None

    def take(self, text: str, channel: str = ANSWER_CHANNEL) -> list[Stretch]:
        """The stretches that are certain after this text."""
        if channel == THOUGHTS_CHANNEL:
            return [*self._note_field(text), Stretch(Kind.THOUGHTS, text)]
        if channel != ANSWER_CHANNEL:
            return []
        self._text += text
        return self._run()

    def end(self) -> list[Stretch]:
        """The rest, at the end of the output."""
        self._is_end = True
        found = self._run()
        kept, self._kept = self._kept, None
        if kept is not None:
            text = "".join(kept) if self._is_later else "".join(kept[1:]).lstrip()
            found.append(Stretch(Kind.ANSWER, text))
        if not self._has_thoughts:
            found += [Stretch(Kind.ANSWER, blanks) for blanks in self._blanks]
        return [*found, *self._release(Kind.ANSWER)]

    def _release(self, kind: Kind) -> list[Stretch]:
        held, self._held = self._held, None
        return [Stretch(kind, "".join(held))] if held else []

    def _run(self) -> list[Stretch]:
        while self._at < len(self._text) and self._step():
            continue
        self._text, self._at = self._text[self._at :], 0
        found, self._out = self._out, []
        return found

    def _note_field(self, text: str) -> list[Stretch]:
        """The server separates thoughts itself, so what it sends as content is the answer."""
        if not text.strip():
            return []
        self._has_thoughts = True
        if self._step == self._undecided:
            self._step = self._rest_of_answer
        return self._release(Kind.ANSWER)

    # what may begin here

    def _begin(self) -> bool:
        """At the beginning, or directly behind thoughts."""
        start = _match_end(_BLANKS, self._text, self._at)
        if not self._has_thoughts and start > self._at:
            self._blanks.append(self._text[self._at : start])
        self._at = start
        if start == len(self._text):
            return False
        for begins in (self._begins_block, self._begins_message, self._begins_behind_prompt):
            if (found := begins()) is not None:
                return found
        if not self._is_end and self._text[start : start + _LONGEST].lower() in _BEGINNINGS:
            return False
        return self._begin_answer()

    def _begins_block(self) -> bool | None:
        opening = _OPENINGS.match(self._text, self._at)
        if opening is None:
            return None
        next_word = _NEXT_WORD.match(self._text, opening.end())
        if next_word is None and not self._is_end:
            return False
        if next_word is not None and _is_prose(next_word.group()):
            self._is_doubtful = True
            return None
        self._open_block(opening, is_later=False)
        return True

    def _begins_message(self) -> bool | None:
        """None if no message of gpt-oss begins here, False if it may."""
        header = channels.HEADER.match(self._text, self._at)
        if header is not None:
            self._open_message(header)
            return True
        if self._own == "<|channel|>" and (end := channels.END.match(self._text, self._at)):
            self._at = end.end()
            return True
        if self._text.startswith(("<|channel|>", "<|start|>"), self._at):
            return None if self._is_whole(channels.MOST_OF_HEADER) else False
        return None

    def _begins_behind_prompt(self) -> bool | None:
        """Thoughts that are empty or stood in the prompt, or a frame around the answer."""
        closing = _CLOSINGS.match(self._text, self._at)
        if closing is not None:
            if not self._knows_line(closing):
                return False
            if Line().is_mention(self._after(closing)):
                return None
            self._has_thoughts, self._at = True, closing.end()
            return True
        if bare := channels.BARE_FINAL.match(self._text, self._at):
            self._has_thoughts, self._at = True, bare.end()
            return True
        frame = _FRAMES.match(self._text, self._at) if self._has_thoughts else None
        if frame is None:
            return None
        self._frame_end = _any_of([_FRAME_END[frame.group()]])
        self._at = frame.end()
        return True

    def _begin_answer(self) -> bool:
        self._line = Line()
        self._is_bare = channels.BARE_ANALYSIS.match(self._text, self._at) is not None
        self._held = [] if self._holds and not self._has_thoughts else None
        if not self._has_thoughts:
            for blanks in self._blanks:
                self._answer(blanks)
        self._blanks = []
        self._step = self._rest_of_answer if self._has_thoughts else self._undecided
        return True

    # thoughts in tags

    def _open_block(self, opening: re.Match[str], *, is_later: bool) -> None:
        self._own, self._has_thoughts = opening.group().lower(), True
        self._ends = _closing_of(self._own)
        self._kept = [opening.group()] if is_later else None
        self._is_later, self._at, self._line = is_later, opening.end(), Line()
        self._step = self._in_block

    def _in_block(self) -> bool:
        closing = self._find(self._ends, self._think)
        if closing is None or not self._knows_line(closing):
            return False
        after, tag = self._after(closing), closing.group()
        self._at = closing.end()
        if self._line.is_surely_quoted(after):
            self._think(tag)
        elif self._line.is_quoted(after):
            if self._kept is None:
                self._kept = []
            self._think(tag)
        else:
            self._close_block()
        return True

    def _close_block(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            self._out.append(Stretch(Kind.THOUGHTS, "".join(kept[self._is_later :])))
        self._step = self._rest_of_answer if self._is_later else self._begin

    # gpt-oss's messages

    def _open_message(self, header: re.Match[str]) -> None:
        self._own, self._has_thoughts = "<|channel|>", True
        self._is_final, self._at = channels.is_final(header), header.end()
        self._line, self._step = Line(), self._in_message

    def _in_message(self) -> bool:
        emit = self._answer if self._is_final else self._think
        found = self._find(channels.NEXT, emit)
        if found is None or not self._knows_line(found):
            return False
        if self._is_final and self._line.is_quoted(self._after(found)):
            emit(found.group())
            self._at = found.end()
        else:
            self._at = found.end() if channels.END.match(found.group()) else found.start()
            self._step = self._begin
        return True

    # the answer

    def _undecided(self) -> bool:
        """What looks like the answer, until a closing tag says that it was thought."""
        found = self._find(_OPEN, self._answer)
        if found is None or not self._knows_line(found):
            return False
        tag, after = found.group().lower(), self._after(found)
        if tag in _CLOSING:
            if self._is_doubtful:
                self._is_doubtful = False
            elif not self._line.is_quoted(after):
                self._mentioned.add(_CLOSING[tag].lower())
        elif tag == "assistantfinal" or tag in channels.MARKS:
            if final := self._final_at(found):
                self._recall(final.end())
                return True
            if tag != "assistantfinal" and not self._is_whole(channels.MOST_OF_HEADER):
                return False
        elif tag not in self._mentioned and not self._line.is_mention(after):
            self._recall(found.end())
            self._own = next(one for one in _CLOSING if _CLOSING[one].lower() == tag)
            return True
        self._at = found.end()
        self._answer(found.group())
        return True

    def _final_at(self, found: re.Match[str]) -> re.Match[str] | None:
        if self._is_bare and (bare := channels.BARE_FINAL.match(self._text, found.start())):
            return bare
        final = channels.FINAL.match(self._text, found.start())
        if final is None or self._line.is_quoted(self._text[final.end() :][:1]):
            return None
        self._own, self._is_final = "<|channel|>", True
        return final

    def _recall(self, end: int) -> None:
        self._out += [Stretch(Kind.RECALL)] if self._held is None else self._release(Kind.THOUGHTS)
        self._has_thoughts, self._at = True, end
        is_message = self._own == "<|channel|>"
        self._step = self._in_message if is_message else self._begin

    def _rest_of_answer(self) -> bool:
        wanted = self._own_opening()
        if wanted is None:
            self._answer(self._text[self._at :])
            self._at = len(self._text)
            return False
        found = self._find(wanted, self._answer)
        if found is None or not self._knows_line(found):
            return False
        if self._frame_end is not None and self._frame_end.match(found.group()):
            self._at = found.end()
        elif self._line.is_mention(self._after(found)):
            self._at = found.end()
            self._answer(found.group())
        else:
            self._open_block(found, is_later=True)
        return True

    def _own_opening(self) -> re.Pattern[str] | None:
        """What may still matter in the answer."""
        own = _any_of([self._own]) if self._own in _CLOSING else None
        if own is None or self._frame_end is None:
            return own or self._frame_end
        return re.compile(f"{own.pattern}|{self._frame_end.pattern}", re.I)

    # the text

    def _find(self, wanted: re.Pattern[str], emit: Callable[[str], None]) -> re.Match[str] | None:
        """The next match; the text before it, or before what may become one, is emitted."""
        found = wanted.search(self._text, self._at)
        if found is not None:
            end = found.start()
        else:
            end = len(self._text) if self._is_end else _unfinished(self._text, self._at)
        if end > self._at:
            emit(self._text[self._at : end])
            self._at = end
        return found

    def _knows_line(self, found: re.Match[str]) -> bool:
        """Whether enough has come to decide whether it is a tag."""
        after = self._after(found)
        return self._is_end or len(after) == tags.WINDOW or "\n" in after

    def _is_whole(self, most: int) -> bool:
        return self._is_end or len(self._text) - self._at >= most

    def _after(self, found: re.Match[str]) -> str:
        return self._text[found.end() : found.end() + tags.WINDOW]

    def _answer(self, text: str) -> None:
        self._line.grow(text)
        if self._held is None:
            self._out.append(Stretch(Kind.ANSWER, text))
        else:
            self._held.append(text)

    def _think(self, text: str) -> None:
        self._line.grow(text)
        if self._kept is None:
            self._out.append(Stretch(Kind.THOUGHTS, text))
        else:
            self._kept.append(text)


def _is_prose(text: str) -> bool:
    """Whether a sentence goes on there about the tag before it: "<think> is …", "<think>, …"."""
    return text == "," or (text[0].isspace() and text[-1].islower())


def _closing_of(opening: str) -> re.Pattern[str]:
    """The closing tags of a block. Models mix up two of them."""
    closing = [_CLOSING[opening]]
    mixed = {"<think>", "<thinking>"}
    return _any_of([_CLOSING[one] for one in mixed] if opening in mixed else closing)


def _match_end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return start if found is None else found.end()
