"""A table whose columns shrink, and disappear by priority, when the terminal is narrow.

Widths count terminal cells, not characters. The text of each cell is put on one line, and control
characters in it are replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.quick_dataclass import record
from ktclient.cli.render import terminal, terminal_text

_GAP = "  "
_LEAST_SHARED = 8
"""Characters that cells must have in common to be told apart by the others."""


@record(frozen=True)
class Column:
    """One column. It is left out if all its cells are empty."""

    title: str
    cells: Sequence[str]
    need: int
    """Priority, 0 to 100: without room the lowest is dropped first; 100 is never dropped."""
    least: int | None = None
    """The width in cells to which it may be shortened; None: never shortened."""
    is_right: bool = False
    cut_in_middle: bool = False
    is_told_apart: bool = False
    """Where a cell is too long, leave out what all of them begin with."""
    styles: Sequence[str] | None = None
    """One key of `terminal.STYLES` for each cell."""


def drawn(columns: Sequence[Column], room: int | None, *, coloured: bool = False) -> list[str]:
    """The lines of the table, titles first, each at most `room` cells wide; None: no limit."""
    harmless = [replace(one, cells=list(map(terminal_text.one_line, one.cells))) for one in columns]
    kept = [one for one in harmless if any(one.cells)]
    widths = _fitted(kept, room)
    kept = [_apart(one, width) for one, width in zip(kept, widths, strict=True)]
    lines = [_line(kept, widths, None, coloured)]
    lines += [_line(kept, widths, row, coloured) for row in range(len(kept[0].cells))]
    return lines


def _apart(column: Column, width: int) -> Column:
    """The column without what its cells have in common, if that hides the rest of them."""
    shared = _beginning(column.cells) if column.is_told_apart else ""
    is_hidden = max(map(terminal_text.width, column.cells), default=0) > width
    if not is_hidden or len(shared) < _LEAST_SHARED or len(set(column.cells)) < 2:
        return column
    sign = terminal_text.ellipsis()
    return replace(column, cells=[f"{sign} {one[len(shared) :]}" for one in column.cells])


def _beginning(cells: Sequence[str]) -> str:
    """The whole words that all cells begin with."""
    least, most = min(cells, default=""), max(cells, default="")
    same = next((at for at, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), 0)
    return least[: least.rfind(" ", 0, same) + 1]


def _natural(column: Column) -> int:
    return max(map(terminal_text.width, (column.title, *column.cells)))


def _least(column: Column) -> int:
    natural = _natural(column)
    return natural if column.least is None else min(natural, max(column.least, len(column.title)))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _fitted(kept: list[Column], room: int | None) -> list[int]:
    """The width of each column in cells. Removes the columns that have no room from `kept`."""
    if room is None:
        return list(map(_natural, kept))
    while _total(list(map(_least, kept))) > room:
        least_needed = min(kept, key=lambda one: one.need)
        if least_needed.need >= 100:
            break
        kept.remove(least_needed)
    widths = list(map(_natural, kept))
    while (excess := _total(widths) - room) > 0:
        spare = [max(0, width - _least(one)) for one, width in zip(kept, widths, strict=True)]
        if not any(spare):
            break
        # Shrink the widest first: a name of 300 letters must not cut the port off a server's URL.
        widest, *others = sorted(
            (widths[at] for at, free in enumerate(spare) if free), reverse=True
        )
        index = next(at for at, free in enumerate(spare) if free and widths[at] == widest)
        step = max(1, widest - others[0]) if others else excess
        widths[index] -= min(excess, spare[index], step)
    return widths


def _line(kept: Sequence[Column], widths: Sequence[int], row: int | None, coloured: bool) -> str:
    """One row, or the titles (`row` is None), without trailing blanks."""
    cells = []
    for column, width in zip(kept, widths, strict=True):
        text = column.title if row is None else column.cells[row]
        short = terminal_text.shortened(text, width, in_middle=column.cut_in_middle)
        blank = " " * (width - terminal_text.width(short))
        cells.append((column, blank + short if column.is_right else short + blank))
    last = max((at for at, (_, text) in enumerate(cells) if text.strip()), default=0)
    shown = [*cells[:last], (cells[last][0], cells[last][1].rstrip())]
    if not coloured:
        return _GAP.join(text for _, text in shown)
    return _GAP.join(terminal.painted(text, _style(column, row)) for column, text in shown)


def _style(column: Column, row: int | None) -> str:
    if row is None:
        return "title"
    return column.styles[row] if column.styles is not None else ""
