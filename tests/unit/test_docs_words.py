"""The pages use plain words and short table cells, and their links lead to headings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = {ROOT / "docs/cli.md"}
"""Written from `--help`: its words are those of the commands."""
PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/README.md")}
    - GENERATED
)
BANNED = (
    *("told", "tell", "tells", "telling", "untold"),
    *("mend", "mends", "mended", "mending"),
    *("heed", "heeds", "heeded"),
    *("whoever", "nobody", "somebody", "anew", "for ever"),
    *("go on", "goes on", "going on", "went on"),
    *("of ours", "of yours", "at your service"),
    *("wish", "wishes", "wished"),
    *("forget", "forgets", "forgot", "forgotten"),
    *("hand over", "hands over", "handed over"),
    *("cure", "cures", "cured"),
    "at once",
)
"""Words that readers stumbled over. The glossary and the field's terms say the same plainly."""
MOST_SENTENCES = 2
MOST_CHARACTERS = 260


def prose(page: Path) -> str:
    """The page without fenced blocks, comments, code in backticks and the targets of links."""
    text = page.read_text(encoding="utf-8")
    for quoted in (r"^```.*?^```", r"<!--.*?-->", r"`[^`]*`", r"\]\([^)]*\)"):
        text = re.sub(quoted, " ", text, flags=re.M | re.S)
    return re.sub(r"\s+", " ", text)


def cells(text: str) -> list[str]:
    """Of all tables, code and link targets shortened to one letter."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    found = [cell for row in rows for cell in re.split(r"(?<!\\)\|", row)]
    return [re.sub(r"\]\([^)]*\)", "", re.sub(r"`[^`]*`", "x", cell)).strip() for cell in found]


def sentences(cell: str) -> int:
    return len([one for one in re.split(r"(?<=[.!?])\s+", cell) if one])


def anchors(page: Path) -> set[str]:
    """What `page.md#...` may name: headings as GitHub spells them, and ids."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    slugs = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_banned_word_is_on_the_page(page: Path) -> None:
    """Whole words, in any letter case. Code may use them: it is quoted as it is."""
    text = prose(page)
    found = [
        text[max(0, match.start() - 30) : match.end() + 30]
        for word in BANNED
        for match in re.finditer(rf"\b{re.escape(word)}\b", text, re.I)
    ]
    assert not found, "\n".join(found)


def test_a_cell_of_the_reference_has_two_sentences_at_most() -> None:
    """More belongs in the prose below the table, or in a how-to."""
    found = cells((ROOT / "docs/reference.md").read_text(encoding="utf-8"))
    assert len(found) > 300
    long = [
        cell for cell in found if sentences(cell) > MOST_SENTENCES or len(cell) > MOST_CHARACTERS
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_headings_lead_to_one(page: Path) -> None:
    """`reference.md#causes` and `#states`."""
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            there = page.parent / target if target else page
            assert anchor in anchors(there), f"{target}#{anchor}"


@pytest.mark.parametrize(
    ("cell", "count"),
    [("one thing", 1), ("One thing. Another one.", 2), ("A. B? C: c, version 0.7.2", 3), ("", 0)],
)
def test_sentences_are_counted(cell: str, count: int) -> None:
    """A number's points end none."""
    assert sentences(cell) == count
