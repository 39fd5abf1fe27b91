"""Versions of packages, compared as far as the doctor needs it: numbers, post and pre-releases."""

from __future__ import annotations

import re

_COMPARISON = re.compile(r"(<=|>=|==|<|>)\s*([\w.+!-]+)")
_Key = tuple[tuple[int, ...], int, int]


def key(version: str) -> _Key:
    """Sorts as PEP 440 does for what these packages use: 0.6.2 < 0.6.2.post3 < 0.6.10; release
    candidates and dev versions come before their release; what follows + does not count."""
    public = version.strip().lower().lstrip("v").partition("+")[0]
    number = re.match(r"\d+(?:\.\d+)*", public)
    rest = public[number.end() :] if number else public
    release = tuple(int(part) for part in number[0].split(".")) if number else (0,)
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    post = re.search(r"post(\d+)", rest)
    is_before = re.search(r"dev|rc|a\d|b\d", rest) is not None
    return release, -1 if is_before else 0, int(post[1]) if post else 0


def holds(version: str, spec: str) -> bool:
    """Whether a version satisfies all comparisons of `spec`, such as `>=0.6.9,<0.7`."""
    return all(_holds(version, sign, other) for sign, other in _COMPARISON.findall(spec))


def _holds(version: str, sign: str, other: str) -> bool:
    mine, theirs = key(version), key(other)
    return {
        "<": mine < theirs,
        "<=": mine <= theirs,
        "==": mine == theirs,
        ">=": mine >= theirs,
        ">": mine > theirs,
    }[sign]
