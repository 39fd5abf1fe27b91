"""Numbers as Word and HTML write them before paragraphs: 3, c, III."""

from __future__ import annotations

_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_MOST_ROMAN = 3999
_MOST_LETTERS = 26


def written(value: int, kind: str) -> str:
    """A number by the name of its format in Word (ST_NumberFormat), in digits for others."""
    small = kind[5:].lower() if kind.startswith(("lower", "upper")) else ""
    if small == "roman" and 0 < value <= _MOST_ROMAN:
        text = _roman(value)
    elif small == "letter" and value > 0:
        times, place = divmod(value - 1, _MOST_LETTERS)
        text = chr(ord("a") + place) * min(times + 1, 30)
    elif kind == "decimalZero":
        return f"{value:02}"
    else:
        return str(value)
    return text.upper() if kind.startswith("upper") else text


def _roman(value: int) -> str:
    made = ""
    for worth, letters in _ROMAN:
        times, value = divmod(value, worth)
        made += letters * times
    return made
