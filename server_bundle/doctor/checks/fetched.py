"""A folder of weights that `ktserver fetch` fills: whole, or not yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from server_bundle.doctor.facts import fetched
from server_bundle.doctor.finding import Finding, error, ok

_ABOUT = "weights"


def check(folder: Path) -> Iterator[Finding]:
    """Check that every file of the fetch is there and was checked; nothing for other folders."""
    record = fetched.read(folder)
    if record is None:
        return
    missing = record.unchecked
    if not missing:
        found = f"{record.name}, all checksums compared at {record.checked_at[:16]}Z"
        yield ok(_ABOUT, found)
        return
    size = sum(record.files[path].size for path in missing) / 1e9
    yield error(
        _ABOUT,
        f"the fetch of {record.name} is unfinished: {len(missing)} of {len(record.wanted)} files "
        f"({size:,.1f} GB) are missing or not checked",
        "the server would load for minutes and then fail, or answer with wrong weights",
        fetched.path_of(folder).name,
        f"wait for it (`ktserver fetch --status`), or continue it: ktserver fetch {_model(record)} "
        f"--to {folder}",
    )


def _model(record: fetched.Record) -> str:
    return f"modelscope:{record.repo}" if record.hub == "modelscope" else record.repo
