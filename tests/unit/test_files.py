"""Every place that makes or writes a file is listed: none is new, and none is gone."""

from __future__ import annotations

import ast

import pytest
from support import files_written, requests_made


def test_every_file_that_the_code_writes_is_listed() -> None:
    """A new one goes through `jobs.draft`, `jobs.named_file` or `jobs.private_folder`, or is listed
    with a reason."""
    found = {name: files_written.calls(tree) for name, tree in requests_made.modules()}
    listed = {name: set(places) for name, places in files_written.PLACES.items()}
    others = {name: made for name, made in found.items() if name not in files_written.DOORS}
    assert {name: made for name, made in others.items() if made} == listed
    assert all(found[name] for name in files_written.DOORS)


@pytest.mark.parametrize(
    ("code", "is_seen"),
    [
        ("open(path, 'w')", True),
        ("open(path, mode='ab')", True),
        ("open(path, mode)", True),
        ("open(path)", False),
        ("open(path, 'rb')", False),
        ("path.open('x')", True),
        ("path.open()", False),
        ("Path(name).open('r+')", True),
        ("Store.open(state)", False),
        ("os.open(path, os.O_RDONLY)", False),
        ("os.open(path, os.O_RDONLY | os.O_CREAT)", True),
        ("os.open(path, _FLAGS)", True),
        ("path.write_text(text)", True),
        ("text.replace('a', 'b')", False),
        ("draft.replace(path)", True),
        ("os.replace(draft, path)", True),
        ("tempfile.NamedTemporaryFile(delete=False)", True),
        ("folder.mkdir(parents=True)", True),
        ("zipfile.ZipFile(path)", False),
        ("zipfile.ZipFile(path, 'w')", True),
    ],
)
def test_what_writes_is_seen(code: str, is_seen: bool) -> None:
    """And what only reads is not."""
    assert bool(files_written.calls(ast.parse(code))) is is_seen
