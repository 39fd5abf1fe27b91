"""The secrets that this process knows, and texts in which they are `***`.

What a server, a proxy or a library says may repeat a key: as it is, encoded, or in a URL. Such text
becomes a message, an event, a log line, a notification. It is hidden where foreign text is quoted
(`hide_foreign`), and once more where the store is written (`hide`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

HIDDEN = "***"
SHORTEST = 8
"""Characters. A shorter key ("none", "EMPTY") is a word that texts contain by chance, and so is one
of few letters and nothing else ("deepseek", "password"): it is hidden only in foreign text, and
only as a whole word."""
_LONGEST_WORD = 20
_SHORTEST_WORD = 4

_known: dict[str, None] = {}
_variables = {"KTJOB_API_KEY"}
_compiled: dict[str, re.Pattern[str] | None] = {}


def know(secret: str) -> None:
    """Hide this secret from now on, in every spelling."""
    global _compiled
    if secret.strip() not in _known and len(secret.strip()) >= _SHORTEST_WORD:
        _known[secret.strip()] = None
        _compiled = {}  # not cleared: another thread may be using it


def know_variable(name: str) -> None:
    """This variable of the environment holds a secret: no child gets it."""
    _variables.add(name)


def variables() -> frozenset[str]:
    """The names of all variables that hold a secret, set or not."""
    return frozenset(_variables)


def hide(text: str) -> str:
    """The text with every known secret hidden that no text contains by chance. Nothing that only
    looks like one is touched."""
    pattern = _pattern("long")
    return pattern.sub(HIDDEN, text) if pattern else text


def hide_shapes(text: str) -> str:
    """The same, and what has the shape of a key, and the user, password and key parameters of
    URLs: for messages. In linear time."""
    text = _URL_USER.sub(f"://{HIDDEN}@", hide(text))
    text = _NAMED.sub(rf"\g<1>{HIDDEN}", text)
    return _SHAPES.sub(HIDDEN, text)


def hide_foreign(text: str) -> str:
    """The same for text from elsewhere: also keys that are words."""
    pattern = _pattern("words")
    text = hide_shapes(text)
    return pattern.sub(HIDDEN, text) if pattern else text


def is_unmistakable(secret: str) -> bool:
    """Whether no text contains it by chance: then it is hidden everywhere."""
    is_word = secret.isalpha() and len(secret) < _LONGEST_WORD
    return len(secret) >= SHORTEST and not is_word


def spellings(secret: str) -> tuple[str, ...]:
    """The secret in the encodings in which it is repeated, the longest first: as it is, in JSON,
    HTML and URLs, and within base64 of a longer text, such as "user:password"."""
    found = dict.fromkeys(one for one in _encoded(secret) if len(one) >= SHORTEST)
    return tuple(sorted(found, key=len, reverse=True))


def _encoded(secret: str) -> Iterator[str]:
    import base64
    import html
    import json
    from urllib.parse import quote

    yield secret
    yield json.dumps(secret)[1:-1]
    yield html.escape(secret)
    for kept in ("", "/"):
        yield quote(secret, safe=kept)
    body = secret.encode(errors="replace")
    for before in range(3):  # bytes of other text before it, in its first group of three
        whole = base64.b64encode(bytes(before) + body).decode().rstrip("=")
        first = -(-before * 8 // 6)
        inner = whole[first : (before + len(body)) * 8 // 6]  # only these depend on it alone
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def _pattern(kind: str) -> re.Pattern[str] | None:
    """A pattern by its kind, long or words; None for no secret. Other threads may learn keys."""
    if kind in (compiled := _compiled):
        return compiled[kind]
    if kind == "long":
        known = [one for one in tuple(_known) if is_unmistakable(one)]
        spelled = [one for secret in known for one in spellings(secret)]
        rule = _any_of(sorted(spelled, key=len, reverse=True))
    else:
        inner = _any_of(one for one in tuple(_known) if not is_unmistakable(one))
        rule = inner and rf"(?<!\w)(?:{inner})(?!\w)"
    compiled[kind] = re.compile(rule) if rule else None
    return compiled[kind]


def _any_of(words: Iterable[str]) -> str:
    """A pattern for these texts; a percent sign's digits may be of either case."""
    literal = "|".join(re.escape(one) for one in words)
    return re.sub("%[0-9A-F]{2}", lambda found: f"(?i:{found[0]})", literal)


# Each pattern below begins with fixed characters and is bounded, or stops before they come again:
# no text is searched twice, or only a few hundred characters of it. Messages of ktjob show the form
# of a proxy's URL as user:password@.
_URL_USER = re.compile(r"://(?!user:password@)[^\s\"'<>]{1,300}@")
_NAMED = re.compile(
    r"([?&;](?:[a-z]{1,10}[_-])?(?:api[_-]?key|key|token|auth|password|passwd|pwd|secret|sig"
    r"|signature)=|(?<![a-z0-9])api[_-]?key=[\"']?|(?<![a-z0-9])(?:api[_-]?key|authorization|token"
    r"|password|secret)[\"']\s{0,3}:\s{0,3}[\"'])[^\s&#\"'<>,)]+",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk)-[A-Za-z0-9_-]{12,}|(?:hf|gsk|gh[opsur])_[A-Za-z0-9]{10,}"
    r"|(?:nvapi|glpat|xox[abprs])-[A-Za-z0-9_-]{10,}|github_pat_\w{10,}|AKIA[A-Z0-9]{16}"
    r"|AIza[A-Za-z0-9_-]{20,})"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"
    r"|(?<![A-Za-z])(?:(?<=[Bb]earer )|(?<=[Bb]asic )|(?<=BEARER ))"
    r"(?:(?=[^\s\"'<>,;)]*\d)[^\s\"'<>,;)]{6,}|[^\s\"'<>,;)]{20,})"
)


class Stream:
    """Hides one secret in a text that arrives in pieces, also where it is cut between two. For
    answers: only the secret itself, in its spellings, and only if it is no word."""

    def __init__(self, secret: str | None) -> None:
        self._spellings = spellings(secret) if secret and is_unmistakable(secret) else ()
        rule = _any_of(self._spellings)
        self._pattern = re.compile(rule) if rule else None
        self._held = ""

    @property
    def is_needed(self) -> bool:
        """Whether there is a secret that is to be hidden."""
        return self._pattern is not None

    def take(self, piece: str) -> str:
        """What may be passed on: all but an end that may be the beginning of the secret."""
        if self._pattern is None:
            return piece
        text = self._pattern.sub(HIDDEN, self._held + piece)
        held = max(_overlap(text, one) for one in self._spellings)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """What was held back, at the end of the text: hidden if it is most of the secret."""
        held, self._held = self._held, ""
        return HIDDEN if len(held) >= SHORTEST else held


def _overlap(text: str, secret: str) -> int:
    """How many characters at the end of the text are the beginning of the secret."""
    most = min(len(text), len(secret) - 1)
    return next((size for size in range(most, 0, -1) if text.endswith(secret[:size])), 0)
