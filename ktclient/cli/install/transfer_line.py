"""How far a transfer is, of wheels and of weights, as one line."""

from __future__ import annotations

from ktclient import wording
from ktclient.cli.render import output, progress_line, units
from server_bundle.transfers import progress as progresses
from server_bundle.transfers.progress import Progress
from server_bundle.transfers.size import in_size


class Live:
    """Shows the progress on a line. `noun`: what a file is for people."""

    def __init__(self, line: progress_line.Line, noun: str) -> None:
        self._line, self._noun, self._last = line, noun, ""

    def follow(self, seen: Progress) -> None:
        """Show a state that another process wrote, and its last trouble once."""
        if seen.note and seen.note != self._last:
            self._last = seen.note
            say(seen.note)
        self.show(seen)

    def show(self, seen: Progress) -> None:
        """Show a state."""
        self._line.start(in_words(seen, self._noun), seen.phase, seen.done, seen.total)


def say(words: str) -> None:
    """Show a trouble below the line."""
    output.note(f"  {words}")


def in_words(seen: Progress, noun: str) -> str:
    """How much, how fast, how long."""
    if not seen.files:
        return "starting"
    if seen.phase != progresses.FETCHING:
        return f"{seen.phase} {seen.files_done:,} of {wording.count(seen.files, noun)}"
    words = [
        f"fetching {in_size(seen.done)} of {in_size(seen.total)}",
        f"{seen.files_done} of {wording.count(seen.files, noun)}",
    ]
    if seen.done >= seen.total and seen.files_done < seen.files:
        return "  ".join([*words, f"comparing checksums, {in_size(seen.checked)} read"])
    if seen.rate:
        words.append(f"{in_size(seen.rate)}/s")
    if seen.left is not None and seen.rate:
        words.append(f"{units.duration(seen.left)} left")
    if seen.current:
        words.append(", ".join(_short(one) for one in seen.current[:2]))
    return "  ".join(words)


def _short(file: str) -> str:
    """A wheel by its package, another file by its name."""
    return file.partition("-")[0] if file.endswith(".whl") else file.rpartition("/")[2]
