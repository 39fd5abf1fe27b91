"""Functions that see documents, answers and what servers say: their time is linear in the length,
whatever the text. Each is given runs of many shapes, doubled until they take a while."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import time
from collections.abc import Callable

import pytest

from jobs import known_secrets
from jobs.model import Piece
from ktclient.answers import thoughts
from ktclient.cli.render import terminal_text
from ktclient.documents import declared, encoded, encodings, leftovers, magic, turn_marks
from ktclient.documents.formats import html, registry, rtf
from ktclient.documents.formats.left_out import LeftOut
from ktclient.errors import ProtocolError
from ktclient.prompts import answer_schema, combined, tasks
from ktclient.records import search
from ktclient.request import error_bodies
from ktclient.request.incoming.frames import Frames
from ktclient.request.refusals import too_long, unknown_model
from ktclient.servers import gauges, models
from ktclient.splitting import chunks, structure
from ktclient.tokens import bundled, estimate
from ktclient.tokens.counter import Counter

SHAPES = (
    *(".", "!?", "…", "。", ".'", '."', ". ", "a. ", "-", "=\n", "#", "# a\n", "第", "第1", "卷"),
    *(
        "`",
        "```\n",
        "a```\n",
        "```json\n{",
        "``` ",
        "{",
        "[",
        '{"a":',
        '"',
        '"1": ',
        "\\",
        "1",
        "1:",
    ),
    *("</think>", "<think>a</think>\n", "`</think>", "a\n<think>", "<|end|>", "<|channel|>", "◁"),
    *("<|channel|>a<|message|>", "analysisW", "assistantfinal", "</thin", "[THINK", "so </think> "),
    *("<", "<|", "<|a", "<title>", "<think>", "<!--", "</", "[INST", "&", "%", "$", "${"),
    *(" ", "\t", "\n", "\r\n", "\u3000", "\u0301", "\u200d", "\U0001f1e6", "\x1b[", "\u202e", "\0"),
    *("\f", "\f1", "\ufffe", "a\ufffe\n", "\u00ad", "\u00ad\n", "\u200b", "\ufb01", "+AB-", "~{"),
    *("a\u0301", "\u1161", "1 a\n", "-a", "i\n"),
    *("a", "A", "aA1", "chapter ", "Chapter 1 ", "sglang:a{", "sglang:a{b} ", "é", "\u3042", "中"),
)


def frames_of(text: str) -> None:
    """What a body of this text is read as, which arrives in pieces."""
    body = text.encode("utf-8", "replace")
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    with contextlib.suppress(ProtocolError):
        list(Frames("http://h:1").events(pieces))


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "places": lambda text: list(structure.places(text)),
    "sentences": lambda text: list(structure.sentences(text, 0, len(text))),
    "cut_near": lambda text: structure.cut_near(text, len(text) - 1, 0),
    "cut": lambda text: chunks.cut(text, len, max(1, len(text) // 3), len(text) / 50),
    "schema data": answer_schema.data_or_none,
    "is_bare": answer_schema.is_bare,
    "thoughts": lambda text: thoughts.divide_text(text),
    "thoughts and the rest": lambda text: thoughts.divide_text("<think>a</think>b" + text),
    "thoughts in pieces": lambda text: in_pieces(text),
    "thoughts and the rest in pieces": lambda text: in_pieces("<think>a</think>b" + text),
    "split answers": lambda text: combined.split(text, ["a", "b"]),
    "split open answers": lambda text: combined.split("{" + text, ["a", "b"]),
    "error words": error_bodies.words,
    "too long": too_long.is_of_prompt,
    "answer too long": too_long.is_of_answer,
    "unknown model": unknown_model.is_said,
    "models": lambda text: models.for_chats(models.listed([{"id": text[:4096]}, {"id": "m"}])),
    "model's kind": lambda text: models.listed([{"id": "m", "type": text, "capabilities": [text]}]),
    "page words": lambda text: error_bodies.words("<html>" + text),
    "frames": frames_of,
    "frames of data": lambda text: frames_of("data: {" + text + "}\n" + text + "\n\n"),
    "frames of lines": lambda text: frames_of("".join(f"data: {one}\n" for one in text)),
    "frames of events": lambda text: frames_of("data: {}}\n" + "event: a\n" * len(text)),
    "gauges": lambda text: gauges.of_metrics(text),
    "harmless": lambda text: turn_marks.of_model().harmless(text),
    "hidden keys": lambda text: known_secrets.hide_foreign(text),
    "base64": encoded.characters,
    "mail": lambda text: magic.text_name(f"From: a\nTo: b\n{text}".encode()),
    "notebook": lambda text: magic.text_name(f"{{{text}".encode()),
    "piece of a page": lambda text: registry.is_html(f"<p>{text}"),
    "rtf": lambda text: rtf.read((r"{\rtf1 a" + text).encode()),
    "guess": lambda text: encodings.guess(text.encode("gb18030", "replace")),
    "guess by letters": lambda text: encodings.guess(text.encode("cp1251", "replace") + b"\xe0"),
    "candidates": lambda text: encodings.candidates(text.encode("cp1253", "replace") + b"\xe0"),
    "ascii guess": lambda text: encodings.guess(text.encode("ascii", "replace")),
    "declared": lambda text: declared.label(text.encode()),
    "leftovers": leftovers.of_text,
    "leftovers of prose": lambda text: leftovers.of_pages("A word and more. " * 200 + text),
    "leftovers of pages": lambda text: leftovers.of_pages(
        text.replace("a", "\f").replace("1", "\ufffe")
    ),
    "estimate": estimate.estimate,
    "is_chinese": tasks.is_chinese,
    "safe": terminal_text.safe,
    "count": lambda text: counter().count(text),
    "doubts": lambda text: counter().doubts(text),
    "search": lambda text: search.Words("a b").find({"document": text}),
    "one_line": terminal_text.one_line,
    "shortened": lambda text: terminal_text.shortened(text, 80),
}

MARKUP = (
    "10<sup>6</sup> and ",
    "a <sup>1</sup>/<sub>2</sub>",
    "<a href=#1>1</a>",
    "<img src=a><svg></svg><input value=a>",
    "<math><msup><mi>x</mi><mn>2</mn></msup></math> ",
    "<table><tr><td rowspan=2>a<td>b<tr><td>c</table>",
    "<ruby>a<rt>b</rt></ruby>",
    "<script>a</script>b",
    "<button>a</button>",
    "<div>a</div><nav>b</nav>",
)


def in_pieces(text: str) -> thoughts.Divided:
    """As a server sends it: a few characters at a time."""
    places = range(0, len(text), 4)
    return thoughts.divide(Piece(at, "answer", text[at : at + 4]) for at in places)


@functools.lru_cache
def counter() -> Counter:
    return Counter(bundled.deepseek_v4())


SHORTEST, LONGEST = 1 << 12, 1 << 16
LEAST_SECONDS = 0.1
"""Of CPU time; less says nothing about its growth."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_twice_the_text_takes_about_twice_the_time(name: str) -> None:
    """Quadratic time is four times as much; the bound lies between, and CPU time is compared."""
    for shape in SHAPES:
        assert_linear(FUNCTIONS[name], shape)


@pytest.mark.parametrize("shape", MARKUP)
def test_so_does_a_page_with_twice_the_elements(shape: str) -> None:
    """All in one paragraph or table: Beautiful Soup removes an element in linear time."""
    assert_linear(lambda text: html.text_of(f"<p>{text}", LeftOut()), shape)


def assert_linear(function: Callable[[str], object], shape: str) -> None:
    length = SHORTEST
    once = seconds(function, shape, length)
    if once * LONGEST / length < LEAST_SECONDS:
        length, once = LONGEST // 2, seconds(function, shape, LONGEST // 2)
        if once >= LEAST_SECONDS:  # it is not linear, or something came between
            length, once = SHORTEST, seconds(function, shape, SHORTEST)
    while once < LEAST_SECONDS and (length := 2 * length) < LONGEST:
        once = seconds(function, shape, length)
    if length < LONGEST:
        once = min(once, *(seconds(function, shape, length) for _ in range(2)))
        tries = (seconds(function, shape, 2 * length) for _ in range(3))
        slow = list(itertools.takewhile(lambda twice: twice >= 3 * once, tries))
        assert len(slow) < 3, f"{shape!r} of {length} characters: {once:.3f} s, {min(slow):.3f} s"


def seconds(function: Callable[[str], object], shape: str, length: int) -> float:
    text = shape * (length // len(shape))
    gc.disable()  # it looks through all that the tests have made, at any moment
    try:
        began = time.process_time()
        function(text)
        return time.process_time() - began
    finally:
        gc.enable()
