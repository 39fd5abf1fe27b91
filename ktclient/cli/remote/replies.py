"""Print the output of a command on another machine, also across broken connections."""

from __future__ import annotations

import codecs
import re
import sys

from jobs import parsing
from ktclient.cli.render import output, terminal_text
from ktclient.remote.call import Receiver
from ktclient.remote.frames import Foreign

MOST_HELD_BYTES = 64 << 20
"""Of a command's output that is held until its end, or shown as an answer's text. An answer has at
most 12 MB."""
MOST_LINE_CHARACTERS = 4 << 20
"""Of one event."""
_COMMAND = re.compile(rb"\bktjob (wait|result|follow|show|cancel|retry|ask|status|submit|logs)\b")


class _Text:
    """Decodes UTF-8 that arrives in arbitrary pieces."""

    def __init__(self) -> None:
        self.anew()

    def anew(self) -> None:
        """Start a new stream; an incomplete character is dropped."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __call__(self, data: bytes) -> str:
        return self._decoder.decode(data)


def decode(data: bytes) -> None:
    """Print messages on stderr; the server side sends whole lines."""
    print(terminal_text.safe(data.decode(errors="replace")), file=sys.stderr, end="", flush=True)


class Reply:
    """Like `said`, and adds `--host NAME` to the commands that a message names."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __call__(self, data: bytes) -> None:
        named = f"ktjob --host {self._host} ".encode()
        decode(_COMMAND.sub(lambda found: named + found[1], data))


def nothing(data: bytes) -> None:
    """Print nothing."""


class Held:
    """Keeps stdout until the command has ended, so that it is printed once and complete."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._bytes = bytearray()
        self.hearing = Receiver(self._out, nothing if is_quiet else decode, begins=self._begins)

    @property
    def text(self) -> str:
        return self._bytes.decode(errors="replace")

    def _begins(self) -> None:
        self._bytes.clear()

    def _out(self, data: bytes) -> None:
        if len(self._bytes) + len(data) > MOST_HELD_BYTES:
            raise Foreign(f"more than {MOST_HELD_BYTES:,} bytes of output")
        self._bytes += data


def live() -> Receiver:
    """Prints output as it arrives; a command that is run again prints it again."""
    text = _Text()
    return Receiver(lambda data: output.print_part(text(data)), decode, begins=text.anew)


def events() -> Receiver:
    """Prints numbered JSON lines (`seq`), each of them once."""
    text, last, rest = _Text(), 0, ""

    def out(data: bytes) -> None:
        nonlocal last, rest
        *lines, rest = (rest + text(data)).split("\n")
        if len(rest) > MOST_LINE_CHARACTERS:
            raise Foreign("an event without end")
        for line in lines:
            number = _seq(line)
            if number > last:
                last = number
                output.print_data(line)

    def begins() -> None:
        nonlocal rest
        rest = ""
        text.anew()

    return Receiver(out, decode, begins=begins)


def _seq(line: str) -> int:
    """The number of an event. Raises `Foreign`."""
    try:
        number = parsing.of_json(line)["seq"]
    except (ValueError, TypeError, KeyError):
        number = None
    if type(number) is not int:
        raise Foreign("an event without a number")
    return number


class Followed:
    """Prints the text of an answer; after a broken connection it continues where it stopped.

    The server side sends the text from its beginning again; what was shown already is skipped.
    """

    def __init__(self, *, is_tail: bool) -> None:
        self._text, self._shown, self._again = _Text(), "", ""
        self._is_compared = self._has_mark = False
        self._is_live = not is_tail
        self.hearing = Receiver(self._out, decode, self._mark, self._begins)

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
        self._bound(self._again)
        if self._shown.startswith(self._again):
            return
        self._is_compared = False
        if self._again.startswith(self._shown):
            self._show(self._again[len(self._shown) :])
            return
        output.print_part("\n")
        output.note("another attempt has started. Discard the text so far: the answer starts again")
        self._shown = ""
        self._show(self._again)

    def _show(self, text: str) -> None:
        self._shown += text
        self._bound(self._shown)
        if self._is_live:
            output.print_part(text)

    def _bound(self, text: str) -> None:
        if len(text) > MOST_HELD_BYTES:
            raise Foreign("an answer without end")
