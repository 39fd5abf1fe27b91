"""Kimi's slicing of text for tiktoken: each slice is tokenized on its own.

Its tokenization_kimi.py does so because tiktoken panicked at long runs. The end of a slice is the
end of a token, so an exact count needs the same slices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_RUNS = re.compile(r"\s+|\S+")  # white space by str.isspace, as in Kimi's code


def slices(text: str, most: int, longest: int) -> Iterator[str]:
    """Slices of at most `most` characters, and within each none with more than `longest` white
    space characters in a row, or other characters in a row."""
    for start in range(0, len(text), most):
        block, begin = text[start : start + most], 0
        for run in _RUNS.finditer(block):
            for cut in range(run.start() + longest, run.end(), longest):
                yield block[begin:cut]
                begin = cut
        yield block[begin:]
