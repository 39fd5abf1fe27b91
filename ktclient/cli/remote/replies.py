"""What a command on another machine says, put on the screen here, across cut links."""

from __future__ import annotations

import codecs
import json
import re
import sys

from ktclient.cli.render import output, terminal_text
from ktclient.remote.call import Hearing

_COMMAND = re.compile(rb"\bktjob (wait|result|follow|show|cancel|retry|ask|status|submit|logs)\b")


class _Text:
    """Bytes that come in any pieces, as text."""

    def __init__(self) -> None:
        self.anew()

    def anew(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __call__(self, data: bytes) -> str:
        return self._decoder.decode(data)


def decode(data: bytes) -> None:
    """Messages for people; the far side sends whole lines."""
    print(terminal_text.safe(data.decode(errors="replace")), file=sys.stderr, end="", flush=True)


class Said:
    """The same, with the commands that it names as they are typed here."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __call__(self, data: bytes) -> None:
        named = f"ktjob --host {self._host} ".encode()
        decode(_COMMAND.sub(lambda found: named + found[1], data))


def nothing(data: bytes) -> None:
    """Not shown."""


class Held:
    """stdout is kept until the command has ended there: it comes once, and whole."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._text, self._pieces = _Text(), list[str]()
        self.hearing = Hearing(self._out, nothing if is_quiet else decode, begins=self._begins)

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def _begins(self) -> None:
        self._text.anew()
        self._pieces.clear()

    def _out(self, data: bytes) -> None:
        self._pieces.append(self._text(data))


def live() -> Hearing:
    """Shown as it comes; a command that is run again begins its output again."""
    text = _Text()
    return Hearing(lambda data: output.print_part(text(data)), decode, begins=text.anew)


def events() -> Hearing:
    """Lines with numbers: each once."""
    text, last, rest = _Text(), 0, ""

    def out(data: bytes) -> None:
        nonlocal last, rest
        *lines, rest = (rest + text(data)).split("\n")
        for line in lines:
            number = json.loads(line)["seq"]
            if number > last:
                last = number
                output.print_data(line)

    def begins() -> None:
        nonlocal rest
        rest = ""
        text.anew()

    return Hearing(out, decode, begins=begins)


class Followed:
    """The text of an answer: after a cut it goes on exactly where it was. The far side sends it
    from its beginning again; what was shown already is passed over."""

    def __init__(self, *, is_tail: bool) -> None:
        self._text, self._shown, self._again = _Text(), "", ""
        self._is_compared = self._has_mark = False
        self._is_live = not is_tail
        self.hearing = Hearing(self._out, decode, self._mark, self._begins)

    def _begins(self) -> None:
        self._text.anew()
        self._again = ""
        self._has_mark, self._is_compared = False, bool(self._shown)

    def _mark(self, mark: dict[str, object]) -> None:
        if mark.get("live"):
            self._is_live = True
        elif not (self._is_compared and not self._has_mark):
            self._shown, self._is_compared = "", False
        self._has_mark = True

    def _out(self, data: bytes) -> None:
        text = self._text(data)
        if not self._is_compared:
            self._show(text)
            return
        self._again += text
        if self._shown.startswith(self._again):
            return
        self._is_compared = False
        if self._again.startswith(self._shown):
            self._show(self._again[len(self._shown) :])
            return
        output.print_part("\n")
        output.note("another attempt has begun: the text so far does not count")
        self._shown = ""
        self._show(self._again)

    def _show(self, text: str) -> None:
        self._shown += text
        if self._is_live:
            output.print_part(text)
