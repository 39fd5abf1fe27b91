"""The body of an answer, however it is packed, as the events that openai's library reads.

An event stream by the standard, with or without its blank lines; lines of JSON; one JSON object,
on one line or on many; plain words; a web page. The content type is not asked: gateways and proxies
send any. Each event that leaves here is one JSON object, `[DONE]`, or an error as OpenAI nests it.
Frames that carry nothing, such as pings, leave nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from ktclient.errors import ProtocolError
from ktclient.request import error_bodies
from ktclient.request.incoming import event_stream, flat_errors
from ktclient.request.incoming.chunks import Chunks
from ktclient.request.incoming.event_stream import Block, Lines
from ktclient.wording import quote

_DONE = "[DONE]"
_MOST_WORDS = 8_192
"""Characters of plain words that are kept: they are shown on one line."""
_HEAD = 200
"""Bytes at the beginning that show whether a body is a web page."""
_MOST_LEADING = 65_536
"""Bytes of plain words or of a web page after which no answer is expected any more."""


class Frames:
    """Reads one body. `frame_ended` is called after each frame that no blank line has ended, so
    that the next one is measured from its own beginning; `check_size` gets a JSON text on many
    lines, as far as it has come, and raises if that is too large."""

    def __init__(
        self,
        url: str,
        frame_ended: Callable[[], None] = lambda: None,
        check_size: Callable[[bytes | bytearray], None] = lambda _: None,
    ) -> None:
        self._url, self._frame_ended, self._check_size = url, frame_ended, check_size
        self._lines, self._block, self._chunks = Lines(), Block(), Chunks()
        self._text = bytearray()
        """A JSON text that began on a line of its own."""
        self._checked_at = _MOST_LEADING
        self._head = b""
        self._said: list[str] = []
        self._left = _MOST_WORDS
        self._foreign = 0
        self._is_done = False
        self.has_frames = False
        """Whether any JSON object or end mark has come."""
        self.is_page = False
        """Whether the body is a web page."""
        self.is_cut = False
        """Whether the body ended within a JSON text."""

    @property
    def words(self) -> str:
        """What was said besides the answer, for people: one line, empty if there was nothing."""
        return error_bodies.words("\n".join(self._said))

    @property
    def has_end_mark(self) -> bool:
        """Whether the server itself has ended its answer: by `[DONE]`, or because it sent a whole
        one."""
        return self._is_done or self._chunks.is_whole

    def events(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The events in a body's pieces, which may be cut anywhere; what is whole is passed on at
        its blank line, or when the next one shows that it is whole. If the pieces raise, the last
        event comes before that. Raises `ProtocolError` for a chunk that is no JSON: a piece of the
        answer may be in it."""
        try:
            for piece in pieces:
                self._look_for_a_page(piece)
                for line in self._lines.feed(piece):
                    yield from self._line(line)
                if self._is_done or self._is_hopeless():
                    return
        except ProtocolError:
            raise
        except Exception:
            yield from self._end()
            raise
        yield from self._end()

    def _look_for_a_page(self, piece: bytes) -> None:
        """At the beginning of the body: a page's first line may have no end."""
        if len(self._head) < _HEAD:
            self._head = (self._head + piece[:_HEAD]).lstrip()
            self.is_page = error_bodies.is_html(
                self._head.decode("utf-8", "replace").lstrip("\ufeff")
            )

    def _is_hopeless(self) -> bool:
        return not self.has_frames and self._foreign > _MOST_LEADING and not self._text

    def _end(self) -> Iterator[bytes]:
        """What the standard drops: a last line without its end, a last block without a blank
        line."""
        if (rest := self._lines.rest()) and not self._is_done:
            yield from self._line(rest)
        yield from self._dispatch(is_last=True)
        if self._text and not self._is_done:
            yield from self._whole_text()

    def _line(self, line: bytes) -> Iterator[bytes]:
        if self._is_done or event_stream.is_comment(line):
            return
        found, block = event_stream.field_of(line), self._block
        if not line:
            yield from self._dispatch()
        elif found is None:
            yield from self._foreign_line(line)
        elif found[0] == b"error":
            block.event = "error"
            block.data.append(found[1])
        elif found[0] == b"event":
            if block.event and self._is_whole(block):
                yield from self._dispatch_early()
            self._block.event = found[1].decode("utf-8", "replace")
        elif found[0] == b"data":
            if self._is_whole(block):
                yield from self._dispatch_early()
            self._block.data.append(found[1])

    def _is_whole(self, block: Block) -> bool:
        """Whether the data so far is an event by itself: some servers send no blank lines."""
        if len(block.data) != 1 or block.foreign or block.is_no_whole:
            return False
        block.is_no_whole = True  # or it leaves now; it is parsed only once
        text = block.data[0].strip()
        is_one = text.startswith(b"{") and text.endswith(b"}")
        return text == b"[DONE]" or (is_one and _parsed(block.text) is not _NO_JSON)

    def _dispatch_early(self) -> Iterator[bytes]:
        yield from self._dispatch()
        self._frame_ended()

    def _dispatch(self, *, is_last: bool = False) -> Iterator[bytes]:
        block, self._block = self._block, Block()
        text = block.text.strip()
        if not text:
            return
        if block.foreign and _parsed(text) is _NO_JSON:  # only its first line has a name
            text = b"\n".join([*block.data, *block.foreign]).decode("utf-8", "replace").strip()
        while text.startswith("data:"):  # of a proxy that wraps each event once more
            text = text.removeprefix("data:").strip()
        if text.startswith(_DONE) or text == f'"{_DONE}"':
            yield self._done()
            return
        value = _parsed(text)
        if value is not _NO_JSON:
            yield from self._value(value, text, block.event)
        elif several := _several(text):
            yield from self._several(several, block.event)
        elif flat_errors.is_error_event(block.event):
            yield self._error(text)
        elif text.startswith(("{", "[")):
            self.is_cut |= is_last
            if not is_last:
                raise self._broken(text)
        else:
            self._keep(text)

    def _several(self, values: list[object], event: str) -> Iterator[bytes]:
        for value in values:
            if value == _DONE:
                yield self._done()
                return
            yield from self._value(value, "", event)

    def _value(self, value: object, text: str, event: str) -> Iterator[bytes]:
        if isinstance(value, dict):
            yield from self._object(value, text, event)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    yield from self._object(one, "", event)
                elif one is not None:
                    self._keep(str(one))
        elif value is not None and flat_errors.is_error_event(event):
            yield self._error(str(value))
        elif value is not None:
            self._keep(str(value))

    def _object(self, value: dict[str, Any], text: str, event: str) -> Iterator[bytes]:
        self.has_frames = True
        if error := flat_errors.error_of(value, event):
            yield self._error(error)
            return
        if value.get("error"):  # with nothing in it, but openai's library would raise it
            value = {**value, "error": None}
            text = ""
        chunk = self._chunks.of(value)
        if not chunk["choices"]:
            self._keep(error_bodies.words(value))
        is_same = chunk is value and text and not _CONTROL.search(text)
        yield _event(text if is_same else json.dumps(chunk))

    def _foreign_line(self, line: bytes) -> Iterator[bytes]:
        """A line that is no field: JSON, a piece of it, or words."""
        text = line.decode("utf-8", "replace").strip()
        self._foreign += len(line)
        if not text:
            return  # blanks, which keep the line alive
        if self._block.data:
            self._block.foreign.append(line)
        elif self._text or text.startswith(("{", "[")):
            yield from self._line_of_json(line, text)
        elif text.startswith(_DONE):
            yield self._done()
        else:
            self._keep(text)

    def _line_of_json(self, line: bytes, text: str) -> Iterator[bytes]:
        if text.startswith(_DONE):
            yield self._done()
            return
        value = _NO_JSON if self._text or not text.endswith(("}", _DONE)) else _parsed(text)
        several = [] if isinstance(value, dict) or self._text else _several(text)
        if isinstance(value, dict) or several:
            yield from self._several(several or [value], "")
            self._frame_ended()
            if not self._chunks.has_choices:
                self._keep(text)
            return
        self._text += line + b"\n"
        if len(self._text) > self._checked_at:
            self._checked_at = 2 * len(self._text)
            self._check_size(self._text)

    def _whole_text(self) -> Iterator[bytes]:
        self._check_size(self._text)
        text = self._text.decode("utf-8", "replace").strip()
        try:
            value = json.loads(text, strict=False)
        except json.JSONDecodeError as error:
            self.is_cut |= error.pos >= len(text) or error.msg.startswith("Unterminated")
            self._keep(text)
        except (ValueError, RecursionError):
            self._keep(text)
        else:
            yield from self._value(value, text, "")
            if not self._chunks.has_choices:
                self._keep(text)

    def _done(self) -> bytes:
        self.has_frames = self._is_done = True
        return _event(_DONE)

    def _error(self, error: object) -> bytes:
        self.has_frames = True
        return _event(json.dumps({"error": error}))

    def _broken(self, text: str) -> ProtocolError:
        return ProtocolError(
            f"the answer of {self._url} does not follow the OpenAI protocol: a chunk is not JSON, "
            f"so a piece of the answer is missing ({quote(text)}). Check for a proxy in between "
            "that changes responses."
        )

    def _keep(self, text: str) -> None:
        if self._left > 0 and not _PING.fullmatch(text[:_LONGEST_PING]):
            self._said.append(text[: self._left])
            self._left -= len(text)


_NO_JSON = object()
_DECODER = json.JSONDecoder(strict=False)
_BETWEEN = re.compile(r"\s*(?:data:\s*)?")
_LONGEST_PING = 64
_PING = re.compile(
    r"[\W\d]*(?:server )?(?:ping|pong|keep[ _-]?alive|heart[ _-]?beat|alive|processing|pending"
    r"|waiting|working|ok|none)[\W\d]*|",
    re.IGNORECASE,
)
"""Words that only keep a line alive: they are no reason for a failure."""
_CONTROL = re.compile(r"[\x00-\x1f]")
"""What our parser accepts inside of strings, and openai's does not."""


def _parsed(text: str) -> object:
    """The JSON value, or `_NO_JSON`. Line ends and tabs inside strings are accepted."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return _NO_JSON


def _several(text: str) -> list[object]:
    """The JSON objects that stand in a text one after the other, of a server that forgets the line
    ends between them, and `[DONE]`; empty if there is anything else."""
    found: list[object] = []
    at = 0
    while (begin := _BETWEEN.match(text, at)) and (at := begin.end()) < len(text):
        if text.startswith(_DONE, at):
            return [*found, _DONE]
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict):
            return []
        found.append(value)
    return found


def _event(text: str) -> bytes:
    return f"data: {text}\n\n".encode()
