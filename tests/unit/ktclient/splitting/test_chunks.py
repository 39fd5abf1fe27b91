"""A text in chunks: nothing is lost, none is too long, each is cut where a reader would cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktclient.splitting import chunks as splitting_chunks
from ktclient.splitting import structure
from ktclient.splitting.chunks import Chunk
from ktclient.splitting.structure import Rank

PIECES = st.sampled_from(
    [
        *("# A heading\n", "Chapter 3\n", "第十二回 有题\n", "\n", "\n\n", " ", "\r\n", "\t"),
        *("It was dark. ", "Was it? Yes! ", "word ", "满纸荒唐言。", "一把辛酸泪", "x" * 40),
        *("👩\u200d👩\u200d👧", "e\u0301", "🇩🇪", "\u0301", "\u200d", "\0", "…"),
    ]
)
TEXTS = st.lists(PIECES, max_size=120).map("".join)


def letters(text: str) -> float:
    """A vocabulary of single characters."""
    return float(len(text))


def sizes(chunks: list[Chunk]) -> list[int]:
    return [chunk.end - chunk.start for chunk in chunks]


@given(TEXTS, st.integers(20, 400), st.integers(0, 10))
def test_nothing_is_lost_and_nothing_too_long(text: str, most: int, overlap: int) -> None:
    """Without what they repeat, the chunks are the text; with it, each is within the bound."""
    chunks = splitting_chunks.cut(text, letters, most, overlap)
    assert "".join(text[chunk.start : chunk.end] for chunk in chunks) == text
    assert [chunk.number for chunk in chunks] == list(range(1, len(chunks) + 1))
    for before, chunk in itertools.pairwise(chunks):
        assert before.start <= chunk.lead <= chunk.start < chunk.end
    for chunk in chunks:
        assert chunk.end - chunk.start <= most
        assert chunk.start - chunk.lead <= overlap + 1


@given(TEXTS, st.integers(20, 400))
def test_no_character_is_cut(text: str, most: int) -> None:
    """Nor what people see as one, where there is a place to cut at all."""
    for chunk in splitting_chunks.cut(text, letters, most):
        is_one = all(structure.is_inside(text, at) for at in range(chunk.start, chunk.end))
        assert not structure.is_inside(text, chunk.start) or is_one or len(text) > most // 4


@given(st.integers(50, 5_000), st.integers(40, 300))
def test_chunks_are_balanced(words: int, most: int) -> None:
    """No tiny one is left for the end, and there are hardly more than need be."""
    text = "word " * words
    chunks = splitting_chunks.cut(text, letters, most)
    assert len(chunks) <= len(text) / most * 1.25 + 1
    assert min(sizes(chunks)) >= 0.4 * max(sizes(chunks))


@given(TEXTS.filter(bool), st.integers(1, 30))
def test_it_ends_whatever_the_vocabulary(text: str, most: int) -> None:
    """Also where a character is more tokens than a chunk may have."""
    chunks = splitting_chunks.cut(text, lambda part: 50.0 * len(part), most)
    assert "".join(text[chunk.start : chunk.end] for chunk in chunks) == text


def test_a_chapter_is_the_best_place() -> None:
    """Rather than the very middle; its title is told, and it repeats nothing of the one before."""
    chapters = [f"Chapter {n}\n\n" + "It was a dark night. " * 40 + "\n\n" for n in range(1, 7)]
    text = "".join(chapters)
    chunks = splitting_chunks.cut(text, letters, len(text) / 2.4, overlap=50)
    assert len(chunks) == 3
    assert [text[chunk.start :][:9] for chunk in chunks] == ["Chapter 1", "Chapter 3", "Chapter 5"]
    assert [chunk.title for chunk in chunks] == [
        f"Chapter {n} \N{EN DASH} Chapter {n + 1}" for n in (1, 3, 5)
    ]
    assert all(chunk.lead == chunk.start for chunk in chunks)


def test_within_a_chapter_a_paragraph_is_and_whole_sentences_are_repeated() -> None:
    """So that the reader of the next chunk knows what it goes on from."""
    text = "第一回 甄士隐\n" + ("满纸荒唐言。一把辛酸泪。都云作者痴。\n\n" * 60)
    chunks = splitting_chunks.cut(text, letters, len(text) / 2.5, overlap=16)
    assert len(chunks) == 3
    for chunk in chunks[1:]:
        assert text[chunk.start :].startswith("满纸荒唐言")
        assert text[chunk.lead : chunk.start].strip() == "一把辛酸泪。都云作者痴。"
    assert {chunk.title for chunk in chunks} == {"第一回 甄士隐"}


def test_one_long_line_is_cut_after_its_sentences() -> None:
    """And only a line without any anywhere."""
    text = "It was dark. " * 500
    assert all(
        text[: chunk.start].endswith(". ")
        for chunk in splitting_chunks.cut(text, letters, 1_000)[1:]
    )
    assert len(splitting_chunks.cut("x" * 5_000, letters, 1_000)) in (5, 6)


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("CHAPTER XII. The Ball", "CHAPTER XII. The Ball"),
        ("  Chapter one", "Chapter one"),
        ("Book the First: Recalled to Life", "Book the First: Recalled to Life"),
        ("PART 2", "PART 2"),
        ("## Results ", "Results"),
        ("第一百二十回 甄士隐详说太虚情", "第一百二十回 甄士隐详说太虚情"),
        ("第3章: 开始", "第3章: 开始"),
        ("第3章 开始", "第3章 开始"),
        ("后记", "后记"),
        ("Prologue", "Prologue"),
        ("==> notes.txt <==", "==> notes.txt <=="),
        ("Part of the reason was the rain.", ""),
        ("Chapter and verse", ""),
        ("It was a dark night.", ""),
        ("第一次见面", ""),
        ("#hashtag", ""),
        ("", ""),
    ],
)
def test_what_is_a_heading(line: str, title: str) -> None:
    """In English, Chinese and Markdown, and of files that were joined."""
    assert structure.heading(line) == title


def test_an_underlined_line_is_a_heading() -> None:
    """Markdown's other way."""
    found = list(structure.places("Intro\n=====\n\nText.\nMore.\n\nEnd.\n"))
    assert (found[0].rank, found[0].title) == (Rank.CHAPTER, "Intro")
    assert [place.rank for place in found[2:]] == [Rank.PARAGRAPH, Rank.LINE, Rank.PARAGRAPH]
