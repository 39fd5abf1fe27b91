"""A table of columns that appear when they matter, and give way when there is little room.

Widths are of what is seen. Whatever a cell holds is made harmless and put on one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.records import record
from ktclient.cli.render import terminal, terminal_text

_GAP = "  "


@record(frozen=True)
class Column:
    """One column. Without anything in any cell it does not appear."""

    title: str
    cells: Sequence[str]
    need: int
    """The columns with the least go first when there is no room; 100 never goes."""
    least: int | None = None
    """It may be shortened to so many places; None: never."""
    is_right: bool = False
    cut_in_middle: bool = False
    styles: Sequence[str] | None = None
    """One for each cell, of `screen.STYLES`."""


def drawn(columns: Sequence[Column], room: int | None, *, coloured: bool = False) -> list[str]:
    """Lines, the titles first, each with the places of `room` at the most; None: without end."""
    harmless = [replace(one, cells=list(map(terminal_text.one_line, one.cells))) for one in columns]
    kept = [one for one in harmless if any(one.cells)]
    widths = _fitted(kept, room)
    lines = [_line(kept, widths, None, coloured)]
    lines += [_line(kept, widths, row, coloured) for row in range(len(kept[0].cells))]
    return lines


def _natural(column: Column) -> int:
    return max(map(terminal_text.width, (column.title, *column.cells)))


def _least(column: Column) -> int:
    natural = _natural(column)
    return natural if column.least is None else min(natural, max(column.least, len(column.title)))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _fitted(kept: list[Column], room: int | None) -> list[int]:
    """The width of each column; those that have no room are taken out of `kept`."""
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
        # The widest gives most: a name of three hundred letters does not cost a server its port.
        widest, *others = sorted(
            (widths[at] for at, free in enumerate(spare) if free), reverse=True
        )
        index = next(at for at, free in enumerate(spare) if free and widths[at] == widest)
        step = max(1, widest - others[0]) if others else excess
        widths[index] -= min(excess, spare[index], step)
    return widths


def _line(kept: Sequence[Column], widths: Sequence[int], row: int | None, coloured: bool) -> str:
    """One row, or the titles. Nothing follows the last that is seen."""
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
