"""Vocabularies: the bundled one is the model's own, counts are the oracle's, files are kept."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import revealing
from tokenizers import Tokenizer
from vocabulary import make_deepseek_v4

from ktclient.documents import document as documents
from ktclient.tokens import bundled, ranks, tokenizer_json, tokenizers_library, vocabulary
from ktclient.tokens.counter import Counter
from ktclient.tokens.pattern import BORDERS, NotConvertible

ROOT = Path(__file__).parents[4]
OPENING = (ROOT / "tests/data/hongloumeng-opening.txt").read_text(encoding="utf-8")
REPORT = (ROOT / "examples/report.txt").read_text(encoding="utf-8")
TEXTS = {
    "chinese": OPENING,
    "english": REPORT,
    "source code": Path(__file__).read_text(encoding="utf-8"),
    "json": json.dumps({"r": list(range(3000)), "t": OPENING[:500]}, indent=2),
    "escaped json": json.dumps([OPENING[:2000], 1.5e-7, None]),
    "mixed": "".join(a + b for a, b in zip(OPENING, REPORT * 2, strict=False)),
    "digits beside Han": "".join(f"{i}年{i * 37}元\uff0c" for i in range(2000)),
    "CRLF and BOM": "\ufeff" + REPORT.replace("\n", "\r\n"),
    "lone CR": REPORT.replace("\n", "\r"),
    "marks": "<\uff5cUser\uff5c>hi<think></think><|im_end|>" * 20,
}
CORPUS = os.environ.get("KTJOB_CORPUS")


@lru_cache
def deepseek() -> Counter:
    return Counter(bundled.deepseek_v4())


@lru_cache
def oracle() -> Tokenizer:
    """DeepSeek V4's by the reference library, its marks taken out: in a document they are text."""
    described = json.loads(make_deepseek_v4.source().read_bytes())
    described["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(described))


def test_the_bundled_vocabulary_is_what_the_package_has() -> None:
    """Byte for byte what the script makes of the package's tokenizer.json."""
    assert bundled.FILE.read_bytes() == make_deepseek_v4.made()
    notice = bundled.FILE.with_suffix(".txt").read_text(encoding="utf-8")
    assert bundled.deepseek_v4().source in notice


@pytest.mark.parametrize("name", TEXTS)
def test_deepseek_counts_are_the_oracles(name: str) -> None:
    """On real text of every kind."""
    want = len(oracle().encode(TEXTS[name], add_special_tokens=False).ids)
    assert deepseek().count(TEXTS[name]) == want


@pytest.mark.novels
@pytest.mark.parametrize(
    ("name", "tokens", "raw_tokens"),
    [("war_and_peace", 781_557, 876_900), ("hongloumeng", 625_337, 636_049)],
)
def test_whole_novels_come_out_exactly(name: str, tokens: int, raw_tokens: int) -> None:
    """Line ends as \\n and the byte order mark dropped, and as they are."""
    path = str(Path(str(CORPUS)) / f"{name}.txt")
    read, raw = documents.read(path).text, documents.read(path, raw=True).text
    assert (deepseek().count(read), deepseek().count(raw)) == (tokens, raw_tokens)
    assert len(oracle().encode(raw, add_special_tokens=False).ids) == raw_tokens


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_deepseek_tokens_are_the_oracles_on_any_text(text: str) -> None:
    """With the real merges."""
    assert deepseek().count(text) == len(oracle().encode(text, add_special_tokens=False).ids)


_PIECE = st.one_of(
    st.text(max_size=8), st.sampled_from(["\n", "\n\n ", " a", ".\n", "\u3000", "12"])
)


@pytest.mark.parametrize("name", sorted(revealing.PRE_TOKENIZERS))
def test_text_may_be_cut_at_borders(name: str) -> None:
    """At each place where a long text would be cut, the parts have the tokens of the whole."""
    made = tokenizer_json.convert(revealing.tokenizer_json(revealing.PRE_TOKENIZERS[name]))
    counter, border = Counter(made), re.compile(BORDERS[made.border])

    @settings(max_examples=100, deadline=None)
    @given(st.lists(_PIECE, max_size=8).map("".join), st.sampled_from(["\na", "x \u4e00", "\n  1"]))
    def check(text: str, middle: str) -> None:
        whole = text + middle + text
        for found in border.finditer(whole):
            parts = whole[: found.end()], whole[found.end() :]
            assert counter.encode(parts[0]) + counter.encode(parts[1]) == counter.encode(whole)

    check()


def test_long_text_is_counted_in_parts_with_the_same_result() -> None:
    """Parts of 65,536 characters and a bit."""
    for text in (OPENING * 40, REPORT * 12, REPORT.replace("\n", " ") * 12):
        assert deepseek().count(text) == len(deepseek().encode(text))


def test_a_composing_normalizer_is_applied() -> None:
    """Qwen's: e and an accent are one character before they are cut and counted."""
    content = revealing.tokenizer_json(revealing.PRE_TOKENIZERS["qwen2"], {"type": "NFC"})
    counter, reference = (
        Counter(tokenizer_json.convert(content)),
        Tokenizer.from_str(content.decode()),
    )
    for text in (
        "e\u0301te\u0301",
        "\u1112\u1161\u11ab",
        "\u212b",
        unicodedata.normalize("NFD", "Straße é"),
    ):
        assert counter.encode(text) == reference.encode(text).ids
    assert counter.doubts("plain é") is None
    assert "U+0378" in str(counter.doubts("\u0378"))  # unassigned: composed by newer tables, maybe


def test_marks_in_a_document_are_counted_as_text_and_told() -> None:
    """A server reads them as one token each."""
    assert deepseek().doubts("ordinary <b>text</b> | with bars") is None
    assert "<think>" in str(deepseek().doubts("so <think> they say"))
    assert deepseek().count("<think>") == 3


def test_a_character_without_a_token_is_told() -> None:
    """The library drops it, or has a token for the unknown; SmolLM2's lacks U+0004, for one."""
    described = json.loads(changed())
    del described["model"]["vocab"]["\u0104"]
    counter = Counter(tokenizer_json.convert(json.dumps(described).encode()))
    assert counter.doubts("plain \u0104") is None
    assert "U+0004" in str(counter.doubts("one \x04 here"))


def changed(**model: object) -> bytes:
    described = json.loads(revealing.tokenizer_json(revealing.PRE_TOKENIZERS["deepseek"]))
    for key, value in model.items():
        (described if key in ("normalizer", "added_tokens") else described["model"])[key] = value
    return json.dumps(described).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (partial(changed, type="Unigram"), "Unigram"),
        (partial(changed, dropout=0.1), "dropout"),
        (partial(changed, end_of_word_suffix="</w>"), "end_of_word_suffix"),
        (partial(changed, normalizer={"type": "Lowercase"}), "Lowercase"),
        (partial(changed, added_tokens=[{"content": "    "}]), "ordinary text"),
        (partial(changed, vocab={"a": 0}), "lacks 24"),
        (
            partial(changed, merges=[["a", "b"], ["b", "c"], ["a", "bc"], ["c", "d"], ["ab", "c"]]),
            "priorit",
        ),
        # alone, ab is built before bc: a then stands nowhere for the listed a + bc
        (partial(changed, merges=[["a", "b"], ["b", "c"], ["a", "bc"]]), "not built by its merges"),
        (lambda: b"{}", "none"),
        (lambda: b"[]", "not a tokenizer.json"),
        (lambda: b"no json", "not a tokenizer.json"),
        (partial(changed, added_tokens=7), "not a tokenizer.json"),
        (partial(changed, merges=["a b c"]), "not a tokenizer.json"),
    ],
)
def test_what_tiktoken_would_count_otherwise_is_refused(
    content: Callable[[], bytes], reason: str
) -> None:
    """With the reason."""
    with pytest.raises(NotConvertible, match=reason):
        tokenizer_json.convert(content())


def test_a_token_that_no_merge_makes_counts_only_as_a_whole_piece() -> None:
    """Without ignore_merges it never comes up; with it, whole pieces are looked up first."""
    described = json.loads(changed())
    described["model"]["vocab"]["hello"] = 99_999
    for looks_whole in (False, True):
        described["model"]["ignore_merges"] = looks_whole
        content = json.dumps(described).encode()
        made, oracle = tokenizer_json.convert(content), Tokenizer.from_str(content.decode())
        assert (b"hello" in made.tokens) is looks_whole
        for text in ("hello", "hello!", "xhello", "hell", "hellohello", "say hello"):
            assert Counter(made).count(text) == len(oracle.encode(text).ids), text


def test_a_vocabulary_is_converted_once(tmp_path: Path) -> None:
    """Then it comes from the cache; a damaged file there is made anew, another source is too."""
    path, cache = tmp_path / "tokenizer.json", tmp_path / "cache"
    path.write_bytes(changed())
    first = vocabulary.of_file(path, cache)
    (kept,) = (cache / "vocabularies").iterdir()
    assert kept.stem == first.source and vocabulary.of_file(path, cache) == first
    whole = kept.read_bytes()
    for damaged in (b"", whole[:-1], whole[:50] + b"\0" + whole[51:]):
        kept.write_bytes(damaged)
        assert vocabulary.of_file(path, cache) == first
        assert kept.read_bytes() == whole
    kept.write_bytes(
        ranks.to_bytes(ranks.Ranks(first.source, "a", "line", False, (), (), {b"a": 0}))
    )
    assert vocabulary.of_file(path, cache).pattern == "a"  # it is read, not converted again
    path.write_bytes(changed(normalizer={"type": "NFC"}))
    assert vocabulary.of_file(path, cache).nfc


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """Here its folder is a file."""
    path = tmp_path / "tokenizer.json"
    path.write_bytes(changed())
    (tmp_path / "cache").write_text("")
    assert vocabulary.of_file(path, tmp_path / "cache").tokens


def test_the_fallback_refuses_politely(tmp_path: Path) -> None:
    """The library raises bare exceptions."""
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        tokenizers_library.count(path, "text")


def test_tiktoken_is_loaded_only_to_count() -> None:
    """Not by the estimate, not by choosing how to count, not by the command line."""
    script = (
        "import sys; import ktclient.tokens.estimate, ktclient.planning.token_count;"
        "import ktclient.cli.ktjob, ktclient.work;"
        "ktclient.tokens.estimate.estimate('text'); sys.exit('tiktoken' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
