"""Bodies of answers, however they are packed, as the events that openai's library reads."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktclient.errors import ProtocolError
from ktclient.request.incoming.frames import Frames

URL = "http://h:1"
ONE = '{"choices": [{"delta": {"content": "One."}}]}'
TWO = '{"choices": [{"delta": {"content": "Two."}, "finish_reason": "stop"}]}'
BOTH = [ONE, TWO]
ERROR = '{"error": "words"}'
TEXT = json.dumps(json.loads(ONE), indent=1)
BODIES: dict[str, tuple[str, list[str]]] = {
    "as usual": (f"data: {ONE}\n\ndata: {TWO}\n\ndata: [DONE]\n\n", [*BOTH, "[DONE]"]),
    "no blank lines": (f"data: {ONE}\ndata: {TWO}\ndata: [DONE]\n", [*BOTH, "[DONE]"]),
    "no last line end": (f"data: {ONE}\n\ndata: {TWO}", BOTH),
    "no blank after the mark": (f"data: {ONE}\n\ndata: [DONE]", [ONE, "[DONE]"]),
    "names without blank lines": (f"event: a\ndata: {ONE}\nevent: a\ndata: {TWO}\n", BOTH),
    "a name after its data": (f"data: {ONE}\nevent: message\n\ndata: {TWO}\n\n", BOTH),
    "an error that is named last": ("data: words\nevent: error\n\n", [ERROR]),
    "blocks without data": (f"id: 7\n\nretry: 3\n\nevent: ping\n\n:\n\ndata: {ONE}\n\n", [ONE]),
    "blanks that keep the line alive": (f" \n\t\ndata: {ONE}\n \n\n   {TWO}", BOTH),
    "empty data": (f"data\n\ndata:\n\ndata: \n\ndata: {ONE}\n\n", [ONE]),
    "a field of somebody's own": (f"data: {ONE}\nfoo: bar\n\nfoo: bar\n\ndata: {TWO}\n\n", BOTH),
    "lines of JSON": (f"{ONE}\n{TWO}\n[DONE]\n", [*BOTH, "[DONE]"]),
    "lines of JSON and comments": (f": ping\n\n{ONE}\n\n: ping\n{TWO}", BOTH),
    "one list": (f"[{ONE}, {TWO}]", BOTH),
    "a list as data": (f"data: [{ONE}, {TWO}]\n\ndata: []\n\n", BOTH),
    "JSON on many lines": (TEXT, [json.dumps(json.loads(ONE))]),
    "data on many lines": ("data: " + TEXT.replace("\n", "\ndata: ") + "\n\n", [ONE]),
    "data on many lines, named once": (f"data: {TEXT}\n\ndata: {TWO}\n\n", BOTH),
    "each event wrapped once more": (
        f"data: data: {ONE}\n\ndata: data: [DONE]\n\n",
        [ONE, "[DONE]"],
    ),
    "no line ends at all": (f"data: {ONE}data: {TWO}data: [DONE]", [*BOTH, "[DONE]"]),
    "no line ends and no names": (f"{ONE}{TWO}[DONE]", [*BOTH, "[DONE]"]),
    "two objects on a line": (f"data: {ONE} {TWO}\n\n{ONE}{TWO}\n", [*BOTH, *BOTH]),
    "a mark in quotes": (f'data: {ONE}\n\ndata: "[DONE]"\n\n', [ONE, "[DONE]"]),
    "a mark with more": (f"data: {ONE}\n\ndata: [DONE] bye\n\n", [ONE, "[DONE]"]),
    "after the mark": (f"data: {ONE}\n\ndata: [DONE]\n\ndata: {TWO}\n\n", [ONE, "[DONE]"]),
    "an error of old llama.cpp": (f"error: {ERROR}\n\n", [ERROR]),
    "words of an event called error": ("event: error\ndata: words\n\n", [ERROR]),
    "words between": (f"data: {ONE}\n\ndata: keepalive\n\ndata: {TWO}\n\n", BOTH),
    "numbers between": (f"data: 1\n\ndata: null\n\ndata: true\n\ndata: {ONE}\n\n", [ONE]),
    "a tab inside of a string": (
        'data: {"choices": [{"delta": {"content": "a\tb"}}]}\n\n',
        ['{"choices": [{"delta": {"content": "a\\tb"}}]}'],
    ),
}


def read(body: bytes, cuts: list[int]) -> tuple[Frames, list[object]]:
    """The values of all events, of a body that arrives in pieces."""
    frames, ends = Frames(URL), [*cuts, len(body)]
    pieces = iter([body[a:b] for a, b in zip([0, *cuts], ends, strict=True)])
    events = list(frames.events(pieces))
    assert all(event.startswith(b"data: ") and event.endswith(b"\n\n") for event in events)
    assert not any(b"\n" in event[:-2] or b"\r" in event for event in events)
    return frames, [_value(event[6:-2].decode()) for event in events]


def _value(text: str) -> object:
    return text if text == "[DONE]" else json.loads(text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=10)
@given(st.data())
def test_a_body_is_the_same_events_however_it_is_packed_and_cut(
    name: str, end: str, data: st.DataObject
) -> None:
    body, expected = BODIES[name]
    sent = ("\ufeff" + body).replace("\n", end).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    assert read(sent, cuts)[1] == [_value(text) for text in expected]


def test_an_event_leaves_at_its_blank_line() -> None:
    """Not when the next one comes: that may be in half an hour."""
    sent: list[str] = []

    def pieces() -> object:
        for piece in (f"data: {ONE}\n\n", f"{TWO}\n"):
            sent.append(piece)
            yield piece.encode()

    events = Frames(URL).events(pieces())  # type: ignore[arg-type]
    assert (next(events), len(sent)) == (f"data: {ONE}\n\n".encode(), 1)
    assert (next(events), len(sent)) == (f"data: {TWO}\n\n".encode(), 2)


def test_of_a_line_that_breaks_the_last_whole_event_is_passed_on() -> None:
    def pieces() -> object:
        yield f"data: {ONE}\n\ndata: {TWO}".encode()
        raise OSError("reset")

    events, found = Frames(URL).events(pieces()), []  # type: ignore[arg-type]
    with pytest.raises(OSError, match="reset"):
        for event in events:
            found.append(event)
    assert [one[6:-2].decode() for one in found] == BOTH


@pytest.mark.parametrize("cut", range(1, len(TWO)))
def test_half_an_event_at_the_end_is_a_cut_and_none_in_the_middle_is_skipped(cut: int) -> None:
    """A piece of the answer would be missing without a word."""
    half = TWO[:-cut]
    for body in (f"data: {ONE}\n\ndata: {half}", f"{ONE}\n{half}"):
        frames, events = read(body.encode(), [])
        assert events == [json.loads(ONE)] and frames.is_cut and not frames.has_end_mark
    with pytest.raises(ProtocolError, match="piece of the answer"):
        read(f"data: {half}\n\ndata: {ONE}\n\n".encode(), [])
    with pytest.raises(ProtocolError):
        next(Frames(URL).events(iter([f"data: {half}\n\n{ONE}".encode()])))


def test_a_broken_line_of_json_swallows_no_end() -> None:
    """What follows may end the answer: it must not count as whole."""
    frames, events = read(f'{ONE}\n{{"choices": [nonsense\n{TWO}\n'.encode(), [])
    assert events == [json.loads(ONE)] and "nonsense" in frames.words and not frames.is_cut


def test_words_are_kept_and_bounded() -> None:
    frames, events = read(b"Internal\nServer Error\n" + b"x" * 10_000_000, [])
    assert events == [] and frames.words.startswith("Internal Server Error x")
    assert len(frames.words) < 1_000 and not frames.has_frames


def test_pings_in_words_are_no_words() -> None:
    """If the server dies after them, the line was cut: nobody said anything."""
    pings = ("ping", ": keep-alive", "KEEPALIVE", "12:30 heartbeat 17", "processing…")
    body = "".join(f"data: {ping}\n\n" for ping in pings).encode()
    assert read(body, [])[0].words == ""
    for said in ("5", "ping failed", "pinged", "no keepalive", "x" * 70, "ok " * 30 + "no"):
        assert read(f"data: {said}\n\n".encode(), [])[0].words == said


def test_a_page_is_known_by_its_beginning() -> None:
    assert read(b"\n  <!DOCTYPE html>\n<title>Log in</title>", [])[0].is_page
    assert not read(b'data: {"a": "<html>"}\n\n<html>', [3])[0].has_end_mark
    assert not read(b"Error\n<html>", [])[0].is_page


def test_a_whole_completion_needs_no_mark() -> None:
    whole = {"object": "chat.completion", "choices": [{"message": {"content": "Whole."}}]}
    for text in (json.dumps(whole), json.dumps(whole, indent=2), f"data: {json.dumps(whole)}\n\n"):
        frames, events = read(text.encode(), [])
        assert frames.has_end_mark
        assert events[0]["choices"][0]["delta"] == {"content": "Whole."}  # type: ignore[index]


def test_frames_without_a_blank_line_are_measured_one_by_one() -> None:
    ended: list[int] = []
    frames = Frames(URL, frame_ended=lambda: ended.append(1))
    list(frames.events(iter([f"data: {ONE}\n".encode() * 3, f"{ONE}\n".encode() * 2])))
    assert len(ended) == 2
    ended.clear()
    list(Frames(URL, lambda: ended.append(1)).events(iter([f"{ONE}\n".encode() * 5])))
    assert len(ended) == 5


def test_a_text_on_many_lines_is_measured() -> None:
    def check(text: bytes | bytearray) -> None:
        if len(text) > 200_000:
            raise OverflowError

    with pytest.raises(OverflowError):
        list(Frames(URL, check_size=check).events(iter([b"[\n", *([b"1,\n" * 100] * 2_000)])))
