"""What of an output is thought and what is the answer, for outputs as models write them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.model import Piece
from ktclient.answers import tags
from ktclient.answers.thoughts import Divided, divide, divide_text

pytestmark = pytest.mark.each_python

FENCED = "The template:\n```\nfoo\n</think>\nbar\n```\nThat is all."
PAIR = "Put <think> before the thoughts and\n</think>\nbehind them."
LATER = "<think>a</think>Part one.\n<think>b"
HARMONY = "<|start|>assistant<|channel|>{}<|message|>"


@pytest.mark.parametrize(("opening", "closing"), tags.PAIRS)
def test_each_family_of_tags(opening: str, closing: str) -> None:
    """Whole, in capitals, cut off, with its opening tag in the prompt, and empty."""
    for text, answer, thoughts in (
        (f"{opening}\nIs it?\n{closing}\n\nYes.", "Yes.", "\nIs it?\n"),
        (f"\n{opening.upper()}Is it?{closing.lower()}Yes.", "Yes.", "Is it?"),
        (f"{opening}Is it", "", "Is it"),
        (f"Is it? So.{closing}Yes.", "Yes.", "Is it? So."),
        (f"Is it?\n{closing}\n\nYes.", "Yes.", "Is it?\n"),
        (f"{opening}{closing}\n\nYes.", "Yes.", ""),
        (f"{closing}\n\nYes.", "Yes.", ""),
    ):
        assert divide_text(text) == Divided(answer, thoughts), text


@pytest.mark.parametrize(
    ("text", "answer", "thoughts"),
    [
        ('So.</think>{"verdict": "right"}', '{"verdict": "right"}', "So."),
        ("So.</think>```json\n{}\n```", "```json\n{}\n```", "So."),
        ('He said "no".</think>"No" is it.', '"No" is it.', 'He said "no".'),
        ("Use `a`.</think>Yes.", "Yes.", "Use `a`."),
        ("So **yes**</think>**Yes**", "**Yes**", "So **yes**"),
        ("<think> so it is.\n</think>\nYes.", "Yes.", "<think> so it is.\n"),
        ("<think>... so</think>Yes.", "Yes.", "... so"),
        ("<think> So it", "", " So it"),
        ("So.\n</think> Yes.", "Yes.", "So.\n"),
        ("So. </think> Yes.", "Yes.", "So. "),
        ("所以是对的。</think>答案", "答案", "所以是对的。"),
        ("<think>a</think>\n\n<think>b</think>\nc", "c", "ab"),
        ("<think>a</think>One.<think>b</think>Two.", "One.Two.", "ab"),
        (LATER, "Part one.\n<think>b", "a"),
        ("<thinking>a</think>b", "b", "a"),
        ("<think>I write `</think>` then.</think>Yes.", "Yes.", "I write `</think>` then."),
        ("<think>\n```\n{} </think>Yes.", "Yes.", "\n```\n{} "),
        ("<think>\n```\n</think>\n```\nSo.\n</think>\nYes.", "Yes.", "\n```\n</think>\n```\nSo.\n"),
        ("<think>So.</think>The tag </think> is it.", "The tag </think> is it.", "So."),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "b", "a"),
    ],
)
def test_thoughts_before_an_answer(text: str, answer: str, thoughts: str) -> None:
    """Glued to it, in several blocks, with quoted tags and open code inside."""
    assert divide_text(text) == Divided(answer, thoughts)


@pytest.mark.parametrize(
    ("text", "answer", "thoughts"),
    [
        (
            f"<|channel|>analysis<|message|>a<|end|>{HARMONY.format('final')}b<|return|>",
            "b",
            "a",
        ),
        (f"a<|end|>{HARMONY.format('final')}b", "b", "a"),
        (f"{HARMONY.format('final')}b", "b", ""),
        ("<|channel|>final <|constrain|>json<|message|>{}", "{}", ""),
        ("<|channel|>analysis<|message|>a", "", "a"),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary "
            f"to=functions.x<|constrain|>json<|message|>{{}}<|call|>{HARMONY.format('final')}b",
            "b",
            "a{}",
        ),
        (f"{HARMONY.format('final')}Write `<|end|>` then.", "Write `<|end|>` then.", ""),
        ("analysisWe think.assistantfinalYes.", "Yes.", "analysisWe think."),
        ("analysisWe were cut", "analysisWe were cut", ""),
        ("assistantfinalYes.", "Yes.", ""),
        ("<|channel|> is a mark of gpt-oss.", "<|channel|> is a mark of gpt-oss.", ""),
    ],
)
def test_channels_of_gpt_oss(text: str, answer: str, thoughts: str) -> None:
    """With its special tokens, or without them where nothing else can be meant."""
    assert divide_text(text) == Divided(answer, thoughts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n  Plain.\n",
        "The tag </think> ends the thoughts.",
        "It ends with </think>.",
        "Its tag is </think>\n\nIt closes what `<think>` opened.",
        "Its tag is `</think>`\n\nand no other.",
        'Its tag is "</think>"',
        "Its tag (</think>) is short.",
        "Its tag is “</think>”.",
        "</think> is the closing tag.",
        "<think> is the opening tag.",
        "<think> and </think> are tags.",
        "<think>, like </think>, is a tag.",
        "Tags:\n1. </think>\n2. [/THINK]\n- </think>\n",
        "It is **</think>** here.",
        "It is *</think>* here.",
        "<p><code></think></code></p>",
        're.sub(r"<think>.*?</think>", "", text)',
        "In a table:\n|</think>|end|\n",
        "使用 </think> 标签来结束。",
        "使用</think>标签来结束。",
        "使用「</think>」标签来结束。",
        '{"tag": "x</think>y", "other": "z"}',
        '{\n "tag": "</think>",\n "other": 1\n}',
        "`<b></think></b>` is no HTML.",
        FENCED,
        FENCED.replace("```", "~~~"),
        PAIR,
        "Sure. <think>Now?</think> Now.",
        "<reasoning>a</reasoning><answer>b</answer>",
        "< think>a< /think>",
        "a <|end|> b <|im_start|> c",
        "analysis of the text: assistantfinal is a word",
        "[THIN",
        "A [THINK",
    ],
)
def test_an_answer_about_tags_loses_nothing(text: str) -> None:
    """In prose, quotes, code, tables and JSON; with both tags in the middle of it."""
    assert divide_text(text) == Divided(text, "")


def test_a_field_for_reasoning_decides() -> None:
    """What comes as content is then the answer, without the blanks before it, whatever is in it.
    A server may leave a tag at its beginning, or send its content twice."""
    for content, answer in (
        ("\n\nYes.", "Yes."),
        ("So.\n</think>\n\nYes.", "So.\n</think>\n\nYes."),
        ("</think>\n\nYes.", "Yes."),
        ("", ""),
        (" \n", ""),
    ):
        found = divide([Piece(1, "reasoning", "Hm."), Piece(2, "answer", content)])
        assert found == Divided(answer, "Hm.")
    assert divide([Piece(1, "answer", "\n"), Piece(2, "reasoning", "a")]) == Divided("", "a")
    assert divide([Piece(1, "reasoning", "\n"), Piece(2, "answer", "So.\n</think>\nYes.")]) == (
        Divided("Yes.", "\nSo.\n")
    )
    two = [Piece(1, "reasoning", "a"), Piece(2, "answer", "<think>a</think>Yes.")]
    assert divide(two) == Divided("Yes.", "aa")


def test_calls_of_tools_are_neither() -> None:
    """They are read by programs."""
    assert divide([Piece(1, "tool_calls", "[]\n"), Piece(2, "answer", "a")]) == Divided("a", "")


def test_blanks_are_no_words() -> None:
    assert not divide_text("<think>a</think>\n ").has_words
    assert not divide_text(" \n").has_words
    assert divide_text("<think>a</think>\nb").has_words


WORDS = st.sampled_from(
    [
        *itertools.chain.from_iterable(tags.PAIRS),
        *("<|channel|>", "analysis", "final", "<|message|>", "<|end|>", "<|start|>", "assistant"),
        *("<|channel|>final<|message|>", "assistantfinal", "analysisWe", "<|START_RESPONSE|>"),
        *("\n", "\n\n", "```\n", "`", '"', "'", " ", ". ", "a", "Yes", "答案", "{", "<", "[", "</"),
    ]
)


@given(st.lists(WORDS, max_size=30), st.lists(st.integers(0, 400), max_size=12))
def test_where_frames_are_cut_decides_nothing(words: list[str], cuts: list[int]) -> None:
    """The same whole, in pieces and in characters; both are in the text, in order."""
    text = "".join(words)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [Piece(n, "answer", text[a:b]) for n, (a, b) in enumerate(itertools.pairwise(places))]
    whole = divide_text(text)
    assert divide(pieces) == whole
    assert divide([Piece(n, "answer", one) for n, one in enumerate(text)]) == whole
    assert len(whole.answer) + len(whole.thoughts) <= len(text)
    assert _is_within(whole.answer, text) and _is_within(whole.thoughts, text)


def _is_within(part: str, text: str) -> bool:
    """Whether all characters are in the text, in this order."""
    left = iter(text)
    return all(one in left for one in part)
