"""Convert a tokenizer.json to ranks, if tiktoken then gives exactly the same tokens.

tiktoken merges any two neighbours whose bytes together are a token, by that token's rank;
`tokenizers` merges only the listed pairs, in the list's order. The two agree on all text if
tiktoken's rule, applied to each token's bytes alone, uses only listed pairs: two adjacent tokens
were built as they would have been alone, so a pair that is not listed never occurs.

A token that this rule never reaches (Llama 3 has some hundreds) is not built inside longer pieces
either, by neither library. It can occur only if a whole piece is looked up before it is merged,
which tiktoken always does, and `tokenizers` with `ignore_merges`: it is kept then, and left out
otherwise. `_unreachable` checks this token by token.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from ktclient.tokens.pattern import NotConvertible, from_pre_tokenizer
from ktclient.tokens.ranks import Ranks

_NEVER_IN_TEXT = {0xC0, 0xC1, *range(0xF5, 0x100)}
"""Bytes that UTF-8 does not use."""
_MANY = 32
_NOT_KNOWN = (
    *(AssertionError, AttributeError, LookupError, TypeError, ValueError),
    RecursionError,  # nested too deeply
)
Pair = tuple[bytes, bytes]


def _letters() -> dict[str, int]:
    """GPT-2's letter for each byte: itself if it is visible, else from U+0100 on."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = (byte for byte in range(256) if byte not in visible)
    return {
        **{chr(byte): byte for byte in visible},
        **{chr(0x100 + i): byte for i, byte in enumerate(hidden)},
    }


_BYTE_OF = _letters()


def convert(content: bytes) -> Ranks:
    """Ranks of the tokenizer.json with this content: a second or two for 128K tokens.

    Raises `NotConvertible`.
    """
    try:
        described = json.loads(content)
        return _convert(described, hashlib.sha256(content).hexdigest())
    except _NOT_KNOWN as error:
        raise NotConvertible(f"it is not a tokenizer.json of a known form ({error!r})") from None


def _convert(described: Mapping[str, object], source: str) -> Ranks:
    split = from_pre_tokenizer(described.get("pre_tokenizer"))
    model = described["model"]
    assert isinstance(model, Mapping)
    _check_model(model)
    added = described.get("added_tokens") or []
    assert isinstance(added, Sequence)
    marks = tuple(str(token["content"]) for token in added)
    _check_marks(marks)
    pairs = list(_pairs(model["merges"]))
    tokens = _ranked(pairs)
    lacking = _lacking(model["vocab"])
    looks_whole = bool(model.get("ignore_merges"))
    if looks_whole:
        _add_unmerged(tokens, model["vocab"], set(marks))
    unreachable = _unreachable(tokens, set(pairs))
    if not looks_whole:
        kept = (token for token in tokens if token not in unreachable)
        tokens = {token: rank for rank, token in enumerate(kept)}
    nfc = _is_nfc(described.get("normalizer"))
    return Ranks(source, split.pattern, split.border, nfc, marks, lacking, tokens)


def _check_model(model: Mapping[str, object]) -> None:
    if model.get("type", "BPE") != "BPE":
        raise NotConvertible(f"its model is {model.get('type')}, not BPE")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise NotConvertible(f"its model has {name} = {model[name]!r}")


def _is_nfc(normalizer: object) -> bool:
    if normalizer is None:
        return False
    assert isinstance(normalizer, Mapping)
    if normalizer.get("type") == "Sequence":
        return any([_is_nfc(one) for one in normalizer["normalizers"]])
    if normalizer.get("type") != "NFC":
        raise NotConvertible(f"its normalizer is {normalizer.get('type')}")
    return True


def _check_marks(marks: Iterable[str]) -> None:
    """Raises `NotConvertible` for added runs of blanks, or words: those are ordinary text."""
    for mark in marks:
        if mark[:1].isalnum() or mark[:1].isspace() or len(mark) < 3:
            raise NotConvertible(f"it has an added token, {mark!r}, that is ordinary text")


def _pairs(merges: Iterable[str | Sequence[str]]) -> Iterator[Pair]:
    """Merges as bytes: written as "a b" until 2024, as ["a", "b"] since."""
    for merge in merges:
        first, second = merge.split(" ") if isinstance(merge, str) else merge
        yield _bytes(first), _bytes(second)


def _bytes(token: str) -> bytes:
    return bytes([_BYTE_OF[letter] for letter in token])


def _ranked(pairs: Iterable[Pair]) -> dict[bytes, int]:
    """Every token that merges can build. Others are never built, though the vocabulary has them."""
    tokens = {bytes([byte]): byte for byte in range(256)}
    last = b""
    for first, second in pairs:
        token = first + second
        if token != last and token in tokens:  # all pairs for one token are adjacent in the list
            raise NotConvertible(f"two ways to the token {token!r} have different priorities")
        last = token
        tokens.setdefault(token, len(tokens))
    return tokens


def _lacking(vocab: Mapping[str, int]) -> tuple[int, ...]:
    """The bytes without a token: SmolLM2 lacks seven control characters and bytes of empty
    planes."""
    missing = {byte for letter, byte in _BYTE_OF.items() if letter not in vocab} - _NEVER_IN_TEXT
    if len(missing) > _MANY:
        raise NotConvertible(f"its vocabulary lacks {len(missing)} of the bytes")
    return tuple(sorted(missing))


def _add_unmerged(tokens: dict[bytes, int], vocab: Mapping[str, int], marks: set[str]) -> None:
    """Add tokens that no merge builds: they are found if they are a whole piece."""
    for token in vocab:
        if token not in marks:
            tokens.setdefault(_bytes(token), len(tokens))


def _unreachable(tokens: Mapping[bytes, int], listed: set[Pair]) -> set[bytes]:
    """The tokens that tiktoken never builds. Raises `NotConvertible` if it uses an unlisted
    pair."""
    found = set()
    for token in tokens:
        parts = [token[i : i + 1] for i in range(len(token))]
        while len(parts) > 1:
            rank, at = min(
                (tokens.get(a + b, len(tokens)), i) for i, (a, b) in enumerate(pairwise(parts))
            )
            if rank == len(tokens):
                found.add(token)
                break
            if (parts[at], parts[at + 1]) not in listed:
                raise NotConvertible(f"its token {token!r} is not built by its merges alone")
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return found
