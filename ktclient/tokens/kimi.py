"""Kimi K2 and K3: `tiktoken.model`, and the Python file beside it that defines its use.

That code (tokenization_kimi.py of moonshotai's models) is parsed, never run: if its pattern and its
two limits are the known ones, tiktoken gives the same tokens, because the model's own code calls
tiktoken too.
"""

from __future__ import annotations

import ast
import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator

from ktclient.tokens.pattern import NotConvertible, from_tiktoken
from ktclient.tokens.ranks import Ranks

MODEL = "tiktoken.model"
CODE = "tokenization_kimi.py"
CONFIG = "tokenizer_config.json"
_MOST, _LONGEST = "TIKTOKEN_MAX_ENCODE_CHARS", "MAX_NO_WHITESPACES_CHARS"
_NOT_KNOWN = (
    *(AttributeError, LookupError, SyntaxError, TypeError, ValueError),
    *(MemoryError, RecursionError),  # what Python says of code or JSON that is nested too deeply
)
_RESERVED = 258
"""Ids after the vocabulary's own: 256 and, in K2, two more."""


def convert(model: bytes, code: bytes, config: bytes) -> Ranks:
    """Ranks from the contents of the three files. Raises `NotConvertible`."""
    try:
        tokens = _tokens(model)
        pattern, limits = _usage(ast.parse(code))
        marks = tuple(_marks(json.loads(config), len(tokens)))
    except _NOT_KNOWN as error:
        raise NotConvertible(f"it is not a Kimi vocabulary of a known form ({error!r})") from None
    split = from_tiktoken(pattern)
    if set(limits) != {_MOST, _LONGEST} or min(limits.values()) < 1:
        raise NotConvertible(f"its {CODE} slices text in an unknown way")
    source = hashlib.sha256(b"\0".join((model, code, config))).hexdigest()
    slices = (limits[_MOST], limits[_LONGEST])
    return Ranks(source, split.pattern, split.border, False, marks, (), tokens, slices)


def _tokens(model: bytes) -> dict[bytes, int]:
    """The tokens, one per line: base64 and rank."""
    ranked: dict[int, bytes] = {}
    for line in model.splitlines():
        if line:
            token, rank = line.split()
            ranked[int(rank)] = base64.b64decode(token, validate=True)
    tokens = {ranked[rank]: rank for rank in range(len(ranked))}
    if len(tokens) < len(ranked) or any(bytes([byte]) not in tokens for byte in range(256)):
        raise binascii.Error("tokens that occur twice, or bytes that do not occur")
    return tokens


def _usage(code: ast.Module) -> tuple[str, dict[str, int]]:
    """The pattern, and the limits of a slice by their names in the code."""
    pattern, limits = "", {}
    for name, value in _assigned(code):
        if name == "pat_str":
            pattern = _joined(value)
        elif name in (_MOST, _LONGEST) and isinstance(value, ast.Constant):
            limits[name] = int(value.value)  # type: ignore[arg-type]  # a TypeError is caught
    return pattern, limits


def _assigned(code: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(code):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _joined(value: ast.expr) -> str:
    """`"|".join([...])` of string literals; a TypeError or so for anything else."""
    if ast.unparse(value.func) != "'|'.join":  # type: ignore[attr-defined]  # caught, too
        raise ValueError("the pattern is built in an unknown way")
    return "|".join(ast.literal_eval(value.args[0]))  # type: ignore[attr-defined]


def _marks(config: dict[str, dict[str, dict[str, str]]], first: int) -> Iterator[str]:
    """The special tokens: named in the configuration, or reserved under a number."""
    named = {int(number): one["content"] for number, one in config["added_tokens_decoder"].items()}
    for number in range(first, first + _RESERVED):
        yield named.get(number, f"<|reserved_token_{number}|>")


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
