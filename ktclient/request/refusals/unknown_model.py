"""Whether the words of a refusal say that the server does not have the requested model.

Many refusals hold the word "model" and one of "invalid", "unknown" or "not supported", and speak of
a field that this model does not take. So the words must say it of the model itself. Pure.
"""

from __future__ import annotations

import re

from ktclient.request.refusals.too_long import plain

_CODES = re.compile(
    r"\bmodel ?not ?(?:found|exist|loaded|available)|\b(?:unknown|invalid) model\b"
    r"|\bdeployment ?not ?found\b"  # Azure's name for a model
)
_PART = r"(?:param|argument|setting|option|field|config|response|output|format|template|tokenizer)"
_WHICH = r"(?:/\S{1,200})?(?: (?:name|id|identifier|code|uid|alias)| with (?:the )?(?:name|id))*"
_NAME = (
    r"(?:[:=]? ?"
    rf"(?:\"[^\"]{{1,200}}\"|'[^']{{1,200}}'|`[^`]{{1,200}}`|(?!{_PART})[^\s\"'`]{{1,200}}))?"
)
_AUXILIARY = r"(?: (?:is|are|was|were|could|does|do|did|has|have|been|be|currently))*"
_MISSING = (
    r"(?: not (?:exist|found|loaded|available|served|installed|deployed|in the list)"
    r"| unknown\b| no longer (?:exists|available)"
    r"| (?:doesn|didn|isn)['\u2019]?t (?:exist|found|loaded|available))"
)
_SAID = re.compile(
    rf"\bmodels?\b(?!['\u2019]s){_WHICH}{_NAME}[,:]?{_AUXILIARY}{_MISSING}"
    rf"|\b(?:unknown|invalid|no such|nonexistent|unrecogni[sz]ed) models?\b(?! {_PART})"
    r"|\bnot a valid model\b"
    r"|\bno models? (?:is |are )?(?:currently )?(?:loaded|found|named|available)"
    r"|\bcould not find (?:the |a |real )*model"
    r"|\u6a21\u578b\s?(?:\S{1,80}\s?)?\u4e0d\u5b58\u5728"
)
"""The last is Chinese: the model … does not exist."""


def is_said(words: str, codes: str = "") -> bool:
    """Whether message or codes of an error say that there is no such model."""
    told = " ".join(words.lower().split())
    return bool(_CODES.search(plain(codes)) or _SAID.search(told))
