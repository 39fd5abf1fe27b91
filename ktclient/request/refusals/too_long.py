"""Whether the words of a refusal say that prompt or answer exceed what the server can hold.

There is no common code for it. Most servers say that something of the prompt (its length, its
tokens) exceeds a limit of tokens: a rule reads that in any order, one sentence at a time. What says
it otherwise is in too_long.toml, with who says it. A rate of tokens, and the size of a body, a file
or an image, are other limits. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from server_bundle import package_data

TABLE = Path(__file__).parent / "too_long.toml"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_BLANK = re.compile(r"[\s_\-`'\"\u2018\u2019\u201c\u201d]+")
_SENTENCE_END = re.compile(r"[.;!?](?=\s|$)|[\u3002\uff1b]")

_RATE = re.compile(
    r"\bper (?:minute|min|day|second|hour|month)\b|/min\b|\b[tr]p[md]\b|\brate ?limit"
    r"|\bquota\b|throttl|too many requests|concurren|\bbilling\b|\bcredits?\b|\bbalance\b"
    r"|\b(?:daily|monthly|budget|plan)\b"
)
_SIZE = re.compile(
    r"\b(?:bytes?|[kmg]i?b|body|payload|entity|images?|pixels?|audio|videos?|files?|uploads?"
    r"|headers?|ur[il]|attachments?)\b"
)
"""Limits of something else than tokens."""
_FIELD = re.compile(
    r"\b(?:stop|schema|grammar|tools?|functions?|descriptions?|names?|strings?|arrays?|temperature"
    r"|top [pk]|logprobs?|logits?|logit bias|penalty|timeout|seconds|batch|seed|user|metadata"
    r"|number of messages)\b"
)
"""Fields of a request that have limits of their own."""
_ANSWER = re.compile(
    r"\bmax (?:completion |new |output |generation )?tokens\b"
    r"|\b(?:output|completion|generated|new) (?:tokens?|length)\b"
)
_OF_TOKENS = re.compile(
    r"\bcontext (?:length|window|size|limit)\b|\b(?:token|input|prompt) limit\b|\bn ctx\b"
    r"|\bmax (?:seq|model|context|session|prompt|input|num) (?:len|length|tokens)\b|\bsession len\b"
    r"|\b(?:input|prompt|sequence|model|session|context) (?:max(?:imum)? )?(?:len|length)\b"
)
_LIMIT = re.compile(r"\bmax(?:imum)?\b|\blimits?\b|\ballowed\b")
_PROMPT = re.compile(
    r"\b(?:prompts?|inputs?|tokens?|conversation|sequences?|documents?|text"
    r"|context(?! (?:length|window|size|limit)))\b"
)
_REQUEST = re.compile(r"\b(?:requests?|messages?|query|contents?)\b")
_OVER = re.compile(
    r"\btoo (?:long|large|big|many)\b|\bexceed(?:s|ed|ing)?\b|\boverflow|\bbeyond\b|\babove\b"
    r"|\b(?:longer|greater|larger|bigger|more|higher) than\b| > #"
)
_OUTRIGHT = re.compile(
    r"\b(?:prompt|input|context|conversation|messages?|document)(?: (?:length|text|size))?"
    r"(?: (?:is|are|was|were))? too (?:long|large|big)\b"
    r"|\btoo many (?:input |prompt )?tokens\b"
    r"|context ?(?:window|length|size|limit)(?: limit)?(?: (?:is|was|has been))? ?"
    r"(?:exceed(?:s|ed)|overflow)"
    r"|\b(?:prompt|context) overflow"
    r"|(?:\u8f93\u5165|\u4e0a\u4e0b\u6587|\u63d0\u793a\u8bcd?|prompt|tokens?|\u957f\u5ea6)[^\u3002]{0,40}"
    r"(?:\u8d85\u8fc7|\u8d85\u51fa|\u8d85\u957f|\u8d85\u9650|\u8fc7\u957f|\u592a\u957f)"
)
"""Said without a limit, or in Chinese (input, context, prompt … exceeds, is too long)."""


@dataclass(frozen=True)
class Phrase:
    """One entry of the table: words as `plain` makes them, and who says them."""

    says: str
    of: str
    answer: bool
    """Whether the answer's limit is meant, not the prompt."""
    example: str


@cache
def phrases() -> tuple[Phrase, ...]:
    """The table's entries."""
    return tuple(
        Phrase(one["says"], one["of"], one.get("answer", False), one["example"])
        for one in package_data.read(TABLE)["phrase"]
    )


def plain(words: str) -> str:
    """Words in lower case, with # for each number, and blanks for quotes, underscores and
    hyphens."""
    return _BLANK.sub(" ", _NUMBER.sub("#", words.lower()))


def is_of_rate(words: str) -> bool:
    """Whether words are about how much may be asked in a time, or at what price."""
    return bool(_RATE.search(plain(words)))


def is_of_answer(words: str) -> bool:
    """Whether words say that the answer's limit is more than the server can hold."""
    told = plain(words)
    if any(one.says in told for one in phrases() if one.answer):
        return True
    return any(_is_answer(sentence) for sentence in _SENTENCE_END.split(told))


def is_of_prompt(words: str) -> bool:
    """Whether words say that the prompt, or prompt and answer together, are too long."""
    told = plain(words)
    if _RATE.search(told):
        return False
    if any(one.says in told for one in phrases() if not one.answer):
        return True
    return any(_is_prompt(sentence) for sentence in _SENTENCE_END.split(told))


def _is_answer(sentence: str) -> bool:
    """max_tokens alone, more than the window. A limit that only its owner set is not meant: there
    is no window to which an answer could be fitted."""
    rest = _ANSWER.sub(" ", sentence)
    is_alone = rest != sentence and not (_PROMPT.search(rest) or _REQUEST.search(rest))
    return is_alone and bool(_OVER.search(rest) and _OF_TOKENS.search(rest))


def _is_prompt(sentence: str) -> bool:
    if _SIZE.search(sentence):
        return False
    rest = _ANSWER.sub(" ", sentence)
    is_of_tokens = bool(_OF_TOKENS.search(rest))
    if _FIELD.search(rest) and not is_of_tokens:
        return False
    if _OUTRIGHT.search(rest):
        return True
    if not _OVER.search(rest):
        return False
    if _PROMPT.search(rest):
        return is_of_tokens or bool(_LIMIT.search(rest))
    return is_of_tokens and bool(_REQUEST.search(rest))
