"""Kimi's vocabulary: tiktoken under its own pattern, in slices, is the reference."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from support import trained

from ktclient.config import settings as config
from ktclient.planning import token_count
from ktclient.tokens import kimi, ranks, tokenizer_json, vocabulary
from ktclient.tokens.counter import Counter
from ktclient.tokens.kimi import slices
from ktclient.tokens.pattern import BORDERS, NotConvertible

PATTERNS = [
    r"""[\p{Han}]+""",
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
    r"""\p{N}{1,3}""",
    r""" ?[^\s\p{L}\p{N}]+[\r\n]*""",
    r"""\s*[\r\n]+""",
    r"""\s+(?!\S)""",
    r"""\s+""",
]
CODE = f"""
class TikTokenTokenizer:
    pat_str = "|".join({PATTERNS!r})

    def encode(self, text):
        TIKTOKEN_MAX_ENCODE_CHARS = 400_000
        MAX_NO_WHITESPACES_CHARS = 25_000
        raise SystemExit("never run")
""".encode()
CONFIG = (
    b'{"added_tokens_decoder": {"2000": {"content": "[BOS]"}, "1501": {"content": "<|im_end|>"}}}'
)
RUNS = st.tuples(
    st.sampled_from(list(" \n\t\u3000aZ1\u4e00\u3005\u3007\xe9\u0301'.\u200d")), st.integers(1, 90)
)
TEXT = st.lists(
    st.one_of(st.text(max_size=8), RUNS.map(lambda run: run[0] * run[1])), max_size=8
).map("".join)


@lru_cache
def tokens() -> dict[bytes, int]:
    """1,500 trained on Chinese and English."""
    return tokenizer_json.convert(json.dumps(trained.plain("qwen2")).encode()).tokens


def model() -> bytes:
    lines = (b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in tokens().items())
    return b"".join(lines)


@lru_cache
def made() -> ranks.Ranks:
    return kimi.convert(model(), CODE, CONFIG)


@lru_cache
def reference() -> tiktoken.Encoding:
    """As the model's own code makes it."""
    pattern = "|".join(PATTERNS)
    return tiktoken.Encoding("k", pat_str=pattern, mergeable_ranks=tokens(), special_tokens={})


def cut(text: str, most: int, longest: int) -> Iterator[str]:
    """The rule, character by character."""
    for start in range(0, len(text), most):
        block = text[start : start + most]
        run, begin = 0, 0
        for i, one in enumerate(block):
            run = run + 1 if i and one.isspace() == block[i - 1].isspace() else 1
            if run > longest:
                yield block[begin:i]
                begin, run = i, 1
        yield block[begin:]


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_any_text_is_cut_as_by_its_own_pattern(text: str) -> None:
    assert Counter(made()).encode(text) == reference().encode_ordinary(text)


def test_real_text_is_counted_as_by_its_own_code() -> None:
    for text in trained.TEXTS:
        assert Counter(made()).count(text) == len(reference().encode_ordinary(text))


@given(TEXT, st.integers(1, 40), st.integers(1, 9))
def test_slices_are_those_of_its_own_code(text: str, most: int, longest: int) -> None:
    assert list(slices(text, most, longest)) == list(cut(text, most, longest))


@settings(max_examples=100, deadline=None)
@given(TEXT, st.integers(1, 40), st.integers(1, 9))
def test_tokens_never_reach_beyond_a_slice(text: str, most: int, longest: int) -> None:
    small = Counter(replace(made(), slices=(most, longest)))
    parts = cut(text, most, longest)
    assert small.count(text) == sum(len(reference().encode_ordinary(part)) for part in parts)


def test_a_long_document_is_sliced_where_its_own_code_does() -> None:
    """In the middle of a word at 400,000, and after 25,000 characters without white space."""
    assert made().slices == (400_000, 25_000)
    text = trained.TEXTS[0] * 30 + "".join(trained.TEXTS[1].split()) * 40 + " " * 60_000
    assert len(text) > 400_000 and re.search(r"\S{25001}", text)
    want = [reference().encode_ordinary(part) for part in cut(text, 400_000, 25_000)]
    assert Counter(made()).count(text) == sum(map(len, want))
    assert sum(map(len, want)) != len(reference().encode_ordinary(text))


@settings(max_examples=100, deadline=None)
@given(TEXT, st.sampled_from(["\na", "x \u4e00", "\n  1"]))
def test_its_text_may_be_cut_at_borders(text: str, middle: str) -> None:
    whole = text + middle + text
    for found in re.finditer(BORDERS[made().border], whole):
        first, second = whole[: found.end()], whole[found.end() :]
        encode = reference().encode_ordinary
        assert encode(first) + encode(second) == encode(whole)


def test_marks_are_told() -> None:
    """Named in the configuration, or reserved by number."""
    counter = Counter(made())
    assert "<|im_end|>" in str(counter.doubts("so <|im_end|> they say"))
    assert "<|reserved_token_1502|>" in str(counter.doubts("<|reserved_token_1502|>"))
    assert counter.doubts("[BOS] is another vocabulary's") is None


@pytest.mark.parametrize(
    ("content", "code", "settings_", "reason"),
    [
        (model, CODE.replace(b"p{Han}]+", b"p{Han}]", 1), CONFIG, "unknown pattern"),
        (model, CODE.replace(b'"|".join', b'"".join'), CONFIG, "not a Kimi"),
        (model, CODE.replace(b"pat_str", b"pattern"), CONFIG, "unknown pattern"),
        (model, CODE.replace(b"400_000", b"limit()"), CONFIG, "slices text"),
        (model, CODE.replace(b"25_000", b"None"), CONFIG, "not a Kimi"),
        (model, CODE.replace(b"25_000", b"0"), CONFIG, "slices text"),
        (model, b"class (", CONFIG, "not a Kimi"),
        (model, b"\0\xff", CONFIG, "not a Kimi"),
        (model, CODE, b"{}", "not a Kimi"),
        (model, CODE, b"[]", "not a Kimi"),
        (lambda: b"", CODE, CONFIG, "not a Kimi"),
        (lambda: model()[100:], CODE, CONFIG, "not a Kimi"),
        (lambda: model() + b"YQ== 1500\n", CODE, CONFIG, "not a Kimi"),
        (lambda: model().replace(b" 7\n", b" x\n"), CODE, CONFIG, "not a Kimi"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\n", CODE, CONFIG, "not a Kimi"),
    ],
)
def test_what_is_not_known_exactly_is_refused(
    content: object, code: bytes, settings_: bytes, reason: str
) -> None:
    """Other patterns, other limits, damaged files, a pointer instead of the file."""
    assert callable(content)
    with pytest.raises(NotConvertible, match=reason):
        kimi.convert(content(), code, settings_)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in ((kimi.MODEL, model()), (kimi.CODE, CODE), (kimi.CONFIG, CONFIG)):
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_a_models_folder_is_read(folder: Path) -> None:
    """Through the cache the same; the template is not known, and that is said."""
    cache = folder / "cache"
    path = vocabulary.file_in(folder)
    assert path.name == "tiktoken.model"
    assert vocabulary.of_file(path, cache) == vocabulary.of_file(path, cache) == made()
    text = trained.TEXTS[0]
    counted = token_count._by_folder(text, folder, config.load().cache)
    assert counted is not None and not counted.exact and "chat template" in counted.by
    want = len(reference().encode_ordinary(text)) + token_count.UNKNOWN_TEMPLATE
    assert counted.tokens == want


def test_a_folder_without_its_code_or_with_another_is_left(folder: Path) -> None:
    """Then the server is asked, or it is an estimate."""
    cache = config.load().cache
    (folder / kimi.CODE).write_bytes(CODE.replace(b"p{Han}", b"p{Latin}"))
    assert token_count._by_folder("text", folder, cache) is None
    (folder / kimi.CODE).unlink()
    assert token_count._by_folder("text", folder, cache) is None
    (folder / "tokenizer.json").write_bytes(json.dumps(trained.plain("qwen2")).encode())
    assert vocabulary.file_in(folder).name == "tokenizer.json"
