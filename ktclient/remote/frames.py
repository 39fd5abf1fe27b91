"""The wire format between two ktjobs: frames of a kind, a length and a body.

A frame is processed only when it is complete: a stream that ends early raises `Cut`. One that is
complete but none of this protocol raises `Foreign`: the other machine may send anything.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import IO

from jobs import parsing

PROTOCOL = 1
MAGIC = b"\nktjob at your service\n"
"""The remote side's first bytes; before them comes whatever login shells print (`.bashrc`)."""
_MOST_NOISE = 1 << 16
BLOCK = 1 << 16
_MOST = 1 << 22
_MOST_RECORD = 1 << 13
"""Of a record from the other machine: a version, a mark, or an exit code."""
_RECORD_LEVELS = 2
_HEAD = struct.Struct(">cI")

HELLO, REQUEST, DATA, END, GO = b"V", b"H", b"D", b"E", b"G"
OUT, SAID, MARK, EXIT = b"O", b"S", b"M", b"X"


class Cut(Exception):
    """The stream ended, or is not of this protocol."""


class Foreign(Cut):
    """What arrived is not of this protocol, so that it would be no better the next time."""


def write(stream: IO[bytes], kind: bytes, body: bytes = b"") -> None:
    """Write one frame."""
    stream.write(_HEAD.pack(kind, len(body)) + body)
    stream.flush()


def write_record(stream: IO[bytes], kind: bytes, record: dict[str, object]) -> None:
    """Write one frame of JSON; undecodable bytes of file names survive."""
    write(stream, kind, json.dumps(record).encode())


def read(stream: IO[bytes]) -> tuple[bytes, bytes]:
    """The next frame. Raises `Cut` and `Foreign`."""
    kind, length = _HEAD.unpack(_exactly(stream, _HEAD.size))
    if length > (_MOST_RECORD if kind in (HELLO, MARK, EXIT) else _MOST):
        raise Foreign(f"a frame of {length:,} bytes")
    return kind, _exactly(stream, length)


def record(body: bytes) -> dict[str, object]:
    """A frame's JSON object, whose values have any type. Raises `Foreign`."""
    try:
        found = parsing.of_json(body, levels=_RECORD_LEVELS, unique=True)
    except parsing.Unusable as error:
        raise Foreign(f"a frame cannot be used: {error}") from None
    except ValueError:
        raise Foreign("a frame is not JSON") from None
    if not isinstance(found, dict):
        raise Foreign("a frame is not a JSON object")
    return found


def skip_noise(stream: IO[bytes]) -> None:
    """Read up to `MAGIC`. Raises `Cut` if it does not come."""
    seen = b"\n"
    while not seen.endswith(MAGIC):
        byte = stream.read(1)
        if not byte or len(seen) > _MOST_NOISE:
            raise Cut("ktjob there did not start")
        seen += byte


def send_file(stream: IO[bytes], source: IO[bytes]) -> None:
    """Send a file's content in bounded memory, then the length and sha256 of what was read."""
    digest, length = hashlib.sha256(), 0
    while block := source.read(BLOCK):
        digest.update(block)
        length += len(block)
        write(stream, DATA, block)
    write_record(stream, END, {"length": length, "sha256": digest.hexdigest()})


def receive_file(stream: IO[bytes], target: IO[bytes]) -> None:
    """The counterpart of `send_file`. Raises `Cut` unless all of it arrived intact."""
    digest, length = hashlib.sha256(), 0
    while True:
        kind, body = read(stream)
        if kind == END:
            if record(body) != {"length": length, "sha256": digest.hexdigest()}:
                raise Cut("a file arrived damaged")
            return
        if kind != DATA:
            raise Cut("file content is missing")
        digest.update(body)
        length += len(body)
        target.write(body)


def _exactly(stream: IO[bytes], length: int) -> bytes:
    found = b""
    while len(found) < length:
        more = stream.read(length - len(found))
        if not more:
            raise Cut("the stream ended within a frame" if found or length else "the stream ended")
        found += more
    return found
