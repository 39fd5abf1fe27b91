"""DeepSeek V4's vocabulary, which comes with this package (data/deepseek-v4.txt has its source)."""

from __future__ import annotations

import re
from pathlib import Path

from ktclient.tokens import ranks

FILE = Path(__file__).parent / "data" / "deepseek-v4.ranks"
_NAME = re.compile(r"deepseek[-_ .]?v4", re.IGNORECASE)


def is_deepseek_v4(name: str) -> bool:
    """Whether a served model's name, or the path of its folder, is DeepSeek V4's."""
    return bool(_NAME.search(name))


def deepseek_v4() -> ranks.Ranks:
    """DeepSeek V4's ranks; loads in about 50 ms."""
    return ranks.from_bytes(FILE.read_bytes())
