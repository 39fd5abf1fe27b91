"""Text that others wrote, as it may stand in a notification. Pure.

Names, messages and labels contain what a document's author or a server wrote. Services act on
parts of such text: Slack and Discord on `<!channel>`, `<@U123>` and `@everyone`, mail and Telegram
on HTML, Matrix and Mattermost on Markdown links, desktops on markup. apprise restores some of it
(its Slack plugin makes `<!channel>` from `!channel&gt;`), so nothing is left to apprise.
"""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Controls, writing direction, joiners and tags, surrogates, and what no screen can show."""
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Letters and marks that are shown as nothing."""
_SIGNS = str.maketrans({"@": "\uff20", "<": "\u2039", ">": "\u203a"})
"""To signs that look like them, and that no service acts on."""
_LINK = re.compile(r"\](?=[\[(])")
_ENTITY = re.compile(r"&(?=#?[0-9A-Za-z]{1,31};)")


def line(text: str) -> str:
    """The text on one line, without what is not seen: controls, line ends, writing direction, zero
    width. For programs: nothing else is changed."""
    short = " ".join(text.split())
    if short.isascii() and short.isprintable():
        return short
    seen = ("" if _is_unseen(one) else one for one in short)
    return " ".join("".join(seen).split())


def harmless(text: str, most: int) -> str:
    """The same in at most `most` characters, without signs that mention people, or make links or
    markup. The middle is left out, so that a name keeps its extension."""
    clean = line(text).translate(_SIGNS)
    clean = _ENTITY.sub("\uff06", _LINK.sub("] ", clean))
    if len(clean) <= most:
        return clean
    tail = (most - 1) // 3
    return f"{clean[: most - 1 - tail]}…{clean[len(clean) - tail :]}"


def _is_unseen(character: str) -> bool:
    is_selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return is_selector or character in _BLANK or unicodedata.category(character) in _UNSEEN
