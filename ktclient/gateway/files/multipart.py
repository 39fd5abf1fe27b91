"""A body of multipart/form-data, read as it comes: text fields into memory, the file into its
sink. Fields may come in any order. Pure but for the sink.

starlette's own form parser spools the file to another disk and buffers it once more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ktclient.gateway.wire.errors import ApiError
from ktclient.wording import quote

MOST_FIELDS = 32
MOST_FIELD_BYTES = 16_384
"""Of the text of one field."""
OVERHEAD_BYTES = 1_000_000
"""How much longer than its file a body may be: headers, boundaries and fields."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_LONGEST_NAME = 255


@dataclass
class _Part:
    """One part of the body."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: str = ""
    is_file: bool = False
    text: bytearray = field(default_factory=bytearray)


class Form:
    """A body, as far as it was read. `write` and `close` raise `ApiError` 400 and 413."""

    def __init__(
        self, content_type: str, file_field: str, most_bytes: int, sink: Callable[[bytes], object]
    ) -> None:
        """`sink` gets the bytes of the field `file_field`, at most `most_bytes`. Raises `ApiError`
        for another content type."""
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        """The file's name; None before it came."""
        self.content_type = ""
        """The file's own."""
        self.size = 0
        """Bytes of the file so far."""
        self._file_field, self._most, self._sink = file_field, most_bytes, sink
        self._part, self._header, self._value = _Part(), bytearray(), bytearray()
        self._is_whole = False
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            words = "the body must be multipart/form-data, and its Content-Type name the boundary"
            raise ApiError(400, words, code="invalid_content_type")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._name_came,
                    "on_header_value": self._value_came,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._data_came,
                    "on_part_end": self._end,
                    "on_end": self._end_body,
                },
            )
        except FormParserError as error:
            raise _malformed(str(error)) from error

    def write(self, chunk: bytes) -> None:
        """Read on."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed(str(error)) from error

    def close(self) -> None:
        """The body has ended."""
        if not self._is_whole:
            raise _malformed("it ends before its last boundary")
        if self.filename is None:
            raise ApiError(
                400, f"the form has no file in the field {self._file_field}", param=self._file_field
            )

    def _begin(self) -> None:
        self._part = _Part()

    def _name_came(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _value_came(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._part.headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _end_headers(self) -> None:
        part = self._part
        kind, options = parse_options_header(part.headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise _malformed("a part does not say which field it is")
        part.name = options[b"name"].decode("utf-8", "replace")
        part.is_file = part.name == self._file_field
        if not part.is_file:
            if b"filename" in options:
                words = f"the field {quote(part.name)} is a file; send it as {self._file_field}"
                raise ApiError(400, words, param=part.name)
            self._refuse_more_fields()
            return
        if self.filename is not None:
            words = f"the form has more than one {self._file_field}; send each by itself"
            raise ApiError(400, words, param=self._file_field)
        self.filename = shown_name(options.get(b"filename", b"").decode("utf-8", "replace"))
        self.content_type = part.headers.get(b"content-type", b"").decode("latin-1")

    def _refuse_more_fields(self) -> None:
        if self._part.name in self.fields:
            words = f"the field {quote(self._part.name)} is there more than once"
            raise ApiError(400, words, param=self._part.name)
        if len(self.fields) >= MOST_FIELDS:
            raise ApiError(400, f"the form has more than {MOST_FIELDS} fields")

    def _data_came(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.is_file:
            self.size += end - start
            if self.size > self._most:
                raise too_large(self._most, self._file_field)
            self._sink(data[start:end])
        elif len(part.text) + end - start > MOST_FIELD_BYTES:
            words = f"the field {quote(part.name)} is longer than {MOST_FIELD_BYTES:,} bytes"
            raise ApiError(400, words, param=part.name)
        else:
            part.text += data[start:end]

    def _end(self) -> None:
        if not self._part.is_file:
            self.fields[self._part.name] = self._part.text.decode("utf-8", "replace")

    def _end_body(self) -> None:
        self._is_whole = True


def shown_name(name: str) -> str:
    """A name that a client gave, without folders and control characters. It is shown, and names
    nothing on disk."""
    last = _CONTROL.sub("", name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "file" if last in ("", ".", "..") else last[:_LONGEST_NAME]


def too_large(most: int, param: str) -> ApiError:
    """The error for a file of more bytes than that."""
    words = f"the file has more than {most:,} bytes. Send a smaller one, or several"
    closing = {"connection": "close"}
    return ApiError(413, words, code="file_too_large", param=param, headers=closing)


def _malformed(why: str) -> ApiError:
    return ApiError(400, f"the body is no valid multipart/form-data: {why}", code="invalid_form")
