"""Small vocabularies trained on real text under the pre-tokenizers of real models, and made into
a tokenizer.json the way in which each family's is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from support import revealing

ROOT = Path(__file__).parents[2]
TEXTS = (
    (ROOT / "examples/report.txt").read_text(encoding="utf-8"),
    (ROOT / "tests/data/hongloumeng-opening.txt").read_text(encoding="utf-8"),
    (ROOT / "README.md").read_text(encoding="utf-8") + "    " * 40 + "=" * 99 + "\n" * 30,
)
SIZE = 1500


@lru_cache
def plain(name: str) -> dict[str, Any]:
    """As Qwen's is: every token made by merges, the merges in the order in which they were learnt.
    Under Qwen's names with its normalizer, too."""
    described = json.loads(revealing.tokenizer_json(revealing.PRE_TOKENIZERS[name]))
    described["model"] |= {"vocab": {}, "merges": []}
    tokenizer = Tokenizer.from_str(json.dumps(described))
    tokenizer.model = models.BPE()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    made: dict[str, Any] = json.loads(tokenizer.to_str())
    if name.startswith("qwen"):
        made["normalizer"] = {"type": "NFC"}
    return made


@lru_cache
def from_ranks(name: str) -> dict[str, Any]:
    """As Llama 3's and gpt-oss's are: converted from tiktoken's ranks (transformers'
    convert_slow_tokenizer.py), so that all pairs which make a token are listed, whole pieces are
    looked up before they are merged, and some tokens come from nowhere but there."""
    made: dict[str, Any] = json.loads(json.dumps(plain(name)))
    model = made["model"]
    oracle = Tokenizer.from_str(json.dumps(made))
    words = {word for word in " ".join(TEXTS).split() if word.isalpha() and word == word.lower()}
    for word in sorted(words):  # each is one piece
        spelled = "".join(oracle.encode(" " + word).tokens)
        if len(oracle.encode(" " + word).ids) > 3 and spelled not in model["vocab"]:
            model["vocab"][spelled] = len(model["vocab"])
    model["merges"] = [list(pair) for pair in _all_pairs(model["vocab"])]
    model["ignore_merges"] = True
    return made


def _all_pairs(vocab: dict[str, int]) -> Iterator[tuple[str, str]]:
    for token in sorted(vocab, key=vocab.__getitem__):
        pairs = [(token[:at], token[at:]) for at in range(1, len(token))]
        known = [pair for pair in pairs if pair[0] in vocab and pair[1] in vocab]
        yield from sorted(known, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
