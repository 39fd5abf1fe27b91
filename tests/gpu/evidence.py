"""What a run on a lent machine saw: rows for a table, and JSON lines that outlast the machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path


class Evidence:
    """Rows are kept and printed as they come; each is a line of FOLDER/kt.jsonl too."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "kt.jsonl"
        self._rows: list[tuple[str, str, str]] = []

    def add(self, what: str, figure: str, more: str = "", **data: object) -> None:
        """One row; `data` only goes into its JSON line."""
        self._rows.append((what, figure, more))
        print(f"| {what} | {figure} | {more} |", flush=True)
        line = {"at": round(time.time(), 2), "what": what, "figure": figure, "more": more, **data}
        with self._file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def step(self, name: str, run: Callable[[], None]) -> bool:
        """Run one step; whether it succeeded. The next ones are worth their minutes anyway."""
        began = time.monotonic()
        print(f"== {name}", flush=True)
        try:
            run()
        except (Exception, SystemExit) as error:
            self.add(name, "FAILED", f"{type(error).__name__}: {error}")
            return False
        finally:
            print(f"   {time.monotonic() - began:.1f} s", flush=True)
        return True

    def table(self) -> None:
        """All rows once more, together."""
        print("\n" + "\n".join(f"| {' | '.join(row)} |" for row in self._rows), flush=True)
