"""The patterns cut text exactly as the tokenizers library does: every code point, and any text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import revealing
from tokenizers import Tokenizer

from ktclient.tokens import tokenizer_json
from ktclient.tokens.counter import Counter
from ktclient.tokens.pattern import NotConvertible, from_pre_tokenizer

NAMES = sorted(revealing.PRE_TOKENIZERS)
AROUND = (
    *("\xe9{}\xe9", "\xa7{}\xa7", "\u0663{}\u0663", "\u4e00{}\u4e00", "\u3000{}\u3000"),
    *("\u200d{}\u200d", "{}{}", "\u0301{}\xe9", "\xa7{}\n", "\n{}\n", "\u3040{}\u3040"),
    *("\u200d\u200d{}", "'{}\xe9", "\u3000{}\nx", "\u30fb{}", "\xe9{}", " {}\xc9\xe9"),
)
"""Between letters, punctuation, digits, Han, blanks, joiners, marks, line ends ..."""
INTERESTING = (
    "\r\n\t\v\f \x00\x01\x1c\x1f\x7f\x85\xa0\xad\u200b\u200d\u2028\u2029\u202f\u3000\ufeff\ufffe"
    "aZ\xe9\u01c5\u02b0\u0391\u0430's'\u017f\u212a'LLve0\xb2\u0664\u2167\u4e00\u9fa5\u9fa6\u3042"
    "\u3040\u3097\u3099\u309b\u30a0\u30fb\u30fc.,!<>/\xa7\u2014\u20ac\u0301\u094d\u0378\ue000"
    "\U0001f468\U0001f3fd\ufe0f\U0001f1e9\U00020000\U0010ffff"
)
TEXT = st.one_of(
    st.text(st.sampled_from(INTERESTING), max_size=40),
    st.text(max_size=40),
    st.lists(
        st.tuples(st.sampled_from(INTERESTING), st.integers(1, 200)).map(lambda t: t[0] * t[1]),
        max_size=6,
    ).map("".join),
)


@lru_cache
def both(name: str) -> tuple[Counter, Tokenizer]:
    """The product's counter and the oracle, on the vocabulary that shows borders."""
    content = revealing.tokenizer_json(revealing.PRE_TOKENIZERS[name])
    return Counter(tokenizer_json.convert(content)), Tokenizer.from_str(content.decode())


def batches() -> Iterator[list[str]]:
    """For each character two texts: in all surroundings, and alone."""
    for_one = "\u4e00\n".join(AROUND)
    texts = [text.replace("{}", one) for one in revealing.characters() for text in (for_one, "{}")]
    return (texts[i : i + 512] for i in range(0, len(texts), 512))


def differing(name: str, texts: list[str]) -> list[str]:
    counter, oracle = both(name)
    encoded = [one.ids for one in oracle.encode_batch_fast(texts, add_special_tokens=False)]
    return [
        ascii(text) for text, ids in zip(texts, encoded, strict=True) if counter.encode(text) != ids
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_code_point_is_cut_alike(name: str) -> None:
    """In each surrounding; the two libraries' tables of Unicode are then the same, too."""
    share = 1 if name == "deepseek" or os.environ.get("KTJOB_ALL_CODE_POINTS") else 8
    some = islice(batches(), None, None, share)
    assert [bad for batch in some for bad in differing(name, batch)] == []


@pytest.mark.parametrize("name", NAMES)
def test_any_text_is_cut_alike(name: str) -> None:
    """Controls, lone carriage returns, long runs of blanks, joiners, marks, nothing dropped."""

    @settings(max_examples=100, deadline=None)
    @given(TEXT)
    def check(text: str) -> None:
        assert not differing(name, [text])

    check()


@pytest.mark.parametrize("run", [" ", "\x01", "\u3040", "\u3000", "\n", "a", "!", "\u200d "])
@pytest.mark.parametrize("name", ["deepseek", "gpt2", "llama3"])
def test_long_runs_are_cut_alike_at_every_length_near_a_block(name: str, run: str) -> None:
    """The patterns take long runs in blocks of 64."""
    texts = [
        run * n + end for n in (63, 64, 65, 66, 127, 128, 129, 130) for end in ("", "\xe9", "1")
    ]
    assert not differing(name, texts)


@pytest.mark.parametrize("run", [" ", "\x01", "\u3040", "1", "\u200d"])
def test_a_run_of_millions_does_not_break_the_engine(run: str) -> None:
    """A `\\s+(?!\\S)` as it stands panics at a million blanks: StackOverflow in fancy-regex."""
    counter, _ = both("deepseek")
    assert counter.count(run * 1_100_000 + "\xe9") >= 1_100_000


@pytest.mark.parametrize(
    ("pre_tokenizer", "reason"),
    [
        (None, "none"),
        ({"type": "Metaspace", "replacement": "_"}, "Metaspace"),
        ({"type": "ByteLevel", "add_prefix_space": True}, "ByteLevel"),
        (
            revealing.sequence(
                {"type": "Digits", "individual_digits": False},
                {"type": "ByteLevel", "use_regex": True},
            ),
            "Digits",
        ),
        (
            revealing.sequence(
                {
                    "type": "Split",
                    "pattern": {"Regex": revealing.GPT4},
                    "behavior": "Removed",
                    "invert": True,
                },
                {"type": "ByteLevel", "use_regex": False},
            ),
            "in an unknown way",
        ),
        (
            revealing.sequence(
                {
                    "type": "Split",
                    "pattern": {"Regex": revealing.GPT4 + "x"},
                    "behavior": "Isolated",
                },
                {"type": "ByteLevel", "use_regex": False},
            ),
            "in an unknown way",
        ),
    ],
)
def test_what_is_not_known_word_for_word_is_not_converted(
    pre_tokenizer: object, reason: str
) -> None:
    """Similar is not equal."""
    with pytest.raises(NotConvertible, match=reason):
        from_pre_tokenizer(pre_tokenizer)
