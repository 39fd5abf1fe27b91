"""The lines of a gateway: whole, without keys, and never in the way."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import pytest

from jobs import known_secrets
from ktclient.gateway.service import log
from ktclient.gateway.service.log import Lines, LogHandler
from ktclient.gateway.wire.event_stream import Cut


def record(words: str, error: BaseException | None = None) -> logging.LogRecord:
    raised = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("ktjob", logging.ERROR, "", 0, words, None, raised)


def test_a_line_is_one_line_without_known_keys(capfd: pytest.CaptureFixture[str]) -> None:
    known_secrets.know("sk-known-to-this-process")
    lines = Lines()
    lines.say("first\nwith sk-known-to-this-process")
    lines.close()
    text = capfd.readouterr().err
    assert text.count("\n") == 1 and "first with" in text and "sk-known" not in text


def test_an_unexpected_error_is_one_line_without_its_words(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """They may repeat what a client sent. An answer that was cut is in the line of its request."""
    lines = Lines()
    handler = LogHandler(lines)
    try:
        raise ValueError("the document")
    except ValueError as error:
        handler.emit(record("at a request", error))
    for end in (Cut(), asyncio.CancelledError()):
        handler.emit(record("never seen", end))
    trace = "Traceback (most recent call last):\n  File x\n"
    handler.emit(record(f"{trace}asyncio.exceptions.CancelledError"))
    handler.emit(record(f"start failed\n{trace}KeyError: 'the document'"))
    lines.close()
    first, second = capfd.readouterr().err.splitlines()
    assert "at a request: ValueError at test_log.py:" in first
    assert second.endswith("start failed: KeyError")


def test_a_reader_that_stands_still_blocks_nobody(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is counted; the end does not wait for it."""
    monkeypatch.setattr(log, "MOST_LINES", 3)
    monkeypatch.setattr(log, "CLOSE_SECONDS", 0.01)
    gate, begun = threading.Event(), threading.Event()
    write = os.write

    def slow(fd: int, data: bytes) -> int:
        begun.set()
        gate.wait()
        return write(fd, data)

    monkeypatch.setattr(os, "write", slow)
    lines = Lines()
    lines.say("0")
    begun.wait()
    for number in range(1, 10):
        lines.say(str(number))
    lines.close()
    gate.set()
    lines._thread.join(0.2)
    lines.say("last")
    lines.close()
    lines._thread.join()
    text = capfd.readouterr().err
    assert [line.split()[1] for line in text.splitlines()[:2]] == ["0", "1"]
    assert "6 lines were not written" in text
