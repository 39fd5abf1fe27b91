"""`python -m ktclient.documents.formats FORMAT ALLOWANCE PARENT`: a document on stdin, its text on
stdout below one line of JSON, `{"about": …}` or `{"error": …}`. PARENT is the parent's pid."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
from collections.abc import Sequence

from jobs.processes import parent_death
from ktclient.documents.formats import allowance, verdict
from ktclient.documents.formats.allowance import Allowance
from ktclient.documents.formats.limits import Unreadable

_MODULES = {
    "PDF": "pdf",
    "DOCX": "docx",
    "PPTX": "pptx",
    "EPUB": "epub",
    "HTML": "html",
    "RTF": "rtf",
    "mail": "mail",
    "MHT": "mail",
    "notebook": "notebook",
}
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\uffff]")
"""Not form feeds, which end pages, and U+FFFE, PDFium's hyphen: leftovers.py resolves these."""


def main(argv: Sequence[str]) -> None:
    """Read stdin, write stdout. An error is a text that follows the document's name."""
    # Versions before this one gave no parent: they wait for this process all the same.
    parent_death.die_with(int(argv[2]) if len(argv) > 2 else os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent too, which ends this
    allowed = Allowance.from_json(argv[1])
    allowed.impose()
    try:
        body, said = _read(argv[0], allowed)
    except Unreadable as error:
        body, said = b"", {"error": str(error)}
    except Exception as error:  # the readers' own, of any kind
        allowance.use_last_memory()
        body, said = b"", {"error": verdict.of_error(error, argv[0], allowed)}
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n" + body)


def _read(format_name: str, allowed: Allowance) -> tuple[bytes, dict[str, str]]:
    reader = importlib.import_module(f"ktclient.documents.formats.{_MODULES[format_name]}")
    allowance.forbid_side_effects()
    text, about = reader.read(sys.stdin.buffer.read())
    if format_name != "PDF":
        text = text.replace("\f", "\n")  # only there it ends a page
    body = _clean(text).encode()
    if len(body) > allowed.output_bytes:
        raise Unreadable(verdict.of_length(allowed.output_bytes))
    return body, {"about": about}


def _clean(text: str) -> str:
    """Remove control characters, surrogates, and more than two line ends in a row."""
    text = _NO_TEXT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "\f".join(_clean_page(page) for page in text.split("\f")) + "\n"


def _clean_page(text: str) -> str:
    lines = [line.rstrip() for line in text.split("\n")]
    kept = [line for line, above in zip(lines, ["", *lines], strict=False) if line or above]
    return "\n".join(kept).strip("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
