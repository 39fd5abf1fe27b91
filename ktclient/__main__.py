"""`python -m ktclient` is `ktjob`."""

from __future__ import annotations

from collections.abc import Sequence

from ktclient import programs


def main(_: Sequence[str] = ()) -> None:
    """As `jobs/program.py` calls it; the arguments are in `sys.argv`."""
    programs.ktjob()


if __name__ == "__main__":
    main()
