"""Vocabularies made as those of Llama 3, Qwen, gpt-oss and DeepSeek are count as the library does.

Token by token, not only in number. The real ones are megabytes; these are trained here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import trained
from tokenizers import Tokenizer

from ktclient.tokens import ranks, tokenizer_json
from ktclient.tokens.counter import Counter
from ktclient.tokens.pattern import NotConvertible

BUILDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "plain": trained.plain,
    "from ranks": trained.from_ranks,
}
FAMILIES = [
    ("qwen2", "plain"),
    ("qwen35", "plain"),
    ("deepseek", "plain"),
    ("smollm2", "plain"),
    ("llama3", "from ranks"),
    ("gpt-oss", "from ranks"),
]


@lru_cache
def both(name: str, build: str) -> tuple[Counter, Tokenizer, ranks.Ranks]:
    content = json.dumps(BUILDS[build](name)).encode()
    made = tokenizer_json.convert(content)
    return Counter(made), Tokenizer.from_str(content.decode()), made


def pieces(name: str, build: str, text: str) -> tuple[list[bytes], list[bytes]]:
    """Of our counter, and of the library."""
    counter, oracle, made = both(name, build)
    by_rank = {rank: token for token, rank in made.tokens.items()}
    ours = [by_rank[rank] for rank in counter.encode(text)]
    theirs = [
        tokenizer_json._bytes(token)
        for token in oracle.encode(text, add_special_tokens=False).tokens
    ]
    return ours, theirs


@pytest.mark.parametrize(("name", "build"), FAMILIES)
def test_real_text_is_cut_into_the_same_tokens(name: str, build: str) -> None:
    """English, Chinese, Markdown, runs of blanks."""
    for text in trained.TEXTS:
        ours, theirs = pieces(name, build, text)
        assert ours == theirs
        assert len(set(ours)) > 200  # it has learnt something


@pytest.mark.parametrize(("name", "build"), FAMILIES)
def test_any_mixture_is_cut_into_the_same_tokens(name: str, build: str) -> None:
    """Of its own tokens, whole and broken, of runs, and of any characters."""
    made = both(name, build)[2]
    known = sorted({token.decode("utf-8", "ignore") for token in made.tokens})
    scrap = st.one_of(
        st.sampled_from(known),
        st.sampled_from(known).map(lambda token: token[:-1]),
        st.tuples(st.sampled_from([" ", "  ", "=", "a", "\n"]), st.integers(1, 40)).map(
            lambda run: run[0] * run[1]
        ),
        # What Unicode has added since the library's tables composes differently, if at all.
        st.text(st.characters(max_codepoint=0x17FF, exclude_categories=["Cs", "Mn"]), max_size=6),
    )

    @settings(max_examples=150, deadline=None)
    @given(st.lists(scrap, max_size=10).map("".join))
    def check(text: str) -> None:
        ours, theirs = pieces(name, build, text)
        assert ours == theirs

    check()


@pytest.mark.parametrize("name", ["llama3", "gpt-oss"])
def test_tokens_that_no_merge_reaches_are_found_as_whole_pieces(name: str) -> None:
    """As Llama 3's " vi\u1ec7c": one token by itself, several inside something longer."""
    made = both(name, "from ranks")[2]
    unreachable = tokenizer_json._unreachable(
        made.tokens,
        {(a, t[len(a) :]) for t in made.tokens for a in (t[:i] for i in range(1, len(t)))},
    )
    assert len(unreachable) > 50
    for token in sorted(unreachable)[:40]:
        text = token.decode()
        assert pieces(name, "from ranks", text) == ([token], [token])
        ours, theirs = pieces(name, "from ranks", text + "zq")
        assert ours == theirs and len(ours) > 2


def test_without_the_look_at_whole_pieces_they_are_left_out() -> None:
    """tiktoken would find them, the library would not."""
    described = json.loads(json.dumps(trained.from_ranks("llama3")))
    described["model"]["ignore_merges"] = False
    content = json.dumps(described)
    made, oracle = tokenizer_json.convert(content.encode()), Tokenizer.from_str(content)
    assert len(made.tokens) < len(both("llama3", "from ranks")[2].tokens)
    assert sorted(made.tokens.values()) == list(range(len(made.tokens)))
    for text in trained.TEXTS:
        assert Counter(made).count(text) == len(oracle.encode(text, add_special_tokens=False).ids)


def test_a_pair_that_is_not_listed_but_comes_up_is_refused() -> None:
    """One merge of a real list is missing, and what it made is still in the vocabulary."""
    described = json.loads(json.dumps(trained.from_ranks("llama3")))
    described["model"]["merges"] = [
        pair for pair in described["model"]["merges"] if "".join(pair) != "the"
    ]
    with pytest.raises(NotConvertible, match="not built by its merges"):
        tokenizer_json.convert(json.dumps(described).encode())
