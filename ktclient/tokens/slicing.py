"""Kimi's way of handing text to tiktoken: in slices, each cut into tokens by itself.

Its tokenization_kimi.py does so because tiktoken panicked at long runs; a slice's end is an end of
a token, so whoever wants its very count has to cut in the same places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_RUNS = re.compile(r"\s+|\S+")  # what str.isspace says, as there


def slices(text: str, most: int, longest: int) -> Iterator[str]:
    """Of at most `most` characters from the start on, and within each none with more than
    `longest` white space characters in a row, or others."""
    for start in range(0, len(text), most):
        block, begin = text[start : start + most], 0
        for run in _RUNS.finditer(block):
            for cut in range(run.start() + longest, run.end(), longest):
                yield block[begin:cut]
                begin = cut
        yield block[begin:]
