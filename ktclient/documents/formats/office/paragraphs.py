"""Paragraphs and tables as RTF gives them, one after another, as Markdown."""

from __future__ import annotations

import itertools

from ktclient.documents.formats.formulas import script


class Lines:
    """Paragraphs and tables in the making."""

    def __init__(self) -> None:
        self._made: list[str] = []
        self._pieces: list[tuple[str, int, bool]] = []
        self._cells: list[str] = []
        self._is_table = False
        self._rows: list[str] = []
        self._level = 0

    def begin(self) -> None:
        """A new paragraph with no properties."""
        self._is_table, self._level = False, 0

    def enter_table(self) -> None:
        """The paragraph is in a table."""
        self._is_table = True

    def make_heading(self, level: int) -> None:
        """The paragraph is a heading; `level` from 0, 9 is text."""
        self._level = level + 1 if level < 9 else 0

    def write(self, text: str, shift: int, *, is_struck: bool = False) -> None:
        """`shift`: 1 raised, -1 lowered."""
        self._pieces.append((text, shift, is_struck))

    def second_half(self, low: str) -> str:
        """The whole character, if its first half was written last; that is taken back."""
        if not self._pieces or not "\ud800" <= self._pieces[-1][0][-1:] <= "\udbff":
            return low
        text, shift, is_struck = self._pieces[-1]
        self._pieces[-1] = (text[:-1], shift, is_struck)
        return (text[-1] + low).encode("utf-16-le", "surrogatepass").decode("utf-16-le")

    def end_paragraph(self) -> None:
        """In a cell it is a line end."""
        if self._is_table:
            self.write("\n", 0)
            return
        self._end_table()
        text = self._taken()
        hashes = f"{'#' * min(self._level, 6)} " if self._level and text.strip() else ""
        self._made.append(f"{hashes}{text}")

    def end_cell(self) -> None:
        """What was written since the last one is a cell."""
        self._cells.append(" ".join(self._taken().split()).replace("|", r"\|"))

    def end_row(self) -> None:
        """The cells are a row; the first row is the head of its table."""
        if not self._cells:
            return
        line = "| " + " | ".join(self._cells) + " |"
        self._rows.append(line)
        if len(self._rows) == 1:
            self._rows.append("| " + " | ".join("---" for _ in self._cells) + " |")
        self._cells = []

    def _end_table(self) -> None:
        if self._rows:
            self._made.append("\n".join(self._rows))
            self._rows = []

    def text(self) -> str:
        """Markdown of all."""
        if self._cells:
            self.end_row()
        self._end_table()
        if self._pieces:
            self._is_table = False
            self.end_paragraph()
        return "\n\n".join(self._made)

    def _taken(self) -> str:
        pieces = [
            ("".join(text for text, *_ in group), shift, is_struck)
            for (shift, is_struck), group in itertools.groupby(
                self._pieces, key=lambda piece: piece[1:]
            )
        ]
        self._pieces, made = [], list[str]()
        for place, (text, shift, is_struck) in enumerate(pieces):
            inside = text.strip()
            if not inside or not (shift or is_struck):
                made.append(text)
                continue
            if not shift:
                made.append(text.replace(inside, f"~~{inside}~~", 1))
                continue
            before = pieces[place - 1][0] if place else ""
            after = pieces[place + 1][0] if place + 1 < len(pieces) else ""
            spelled = script.spelled(inside, is_raised=shift > 0, before=before, after=after)
            made.append(text.replace(inside, spelled, 1))
        return "".join(made)
