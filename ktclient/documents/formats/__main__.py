"""`python -m ktclient.documents.formats FORMAT MOST_BYTES`: a document on stdin, its text on stdout
below one line of JSON, `{"about": …}` or `{"error": …}`."""

from __future__ import annotations

import importlib
import json
import re
import resource
import sys
from collections.abc import Sequence

from ktclient.documents.formats.limits import CPU_SECONDS, MEMORY_BYTES, Unreadable

_MODULES = {"PDF": "pdf", "DOCX": "docx", "PPTX": "pptx", "EPUB": "epub", "HTML": "html"}
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\uffff]")
"""Not form feeds, which end pages, and U+FFFE, PDFium's hyphen: leftovers.py resolves these."""


def main(argv: Sequence[str]) -> None:
    """Read stdin, write stdout. An error is a text that follows the document's name."""
    format_name, most = argv[0], int(argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        reader = importlib.import_module(f"ktclient.documents.formats.{_MODULES[format_name]}")
        text, about = reader.read(sys.stdin.buffer.read())
        body = _clean(text).encode()
        if len(body) > most:
            raise Unreadable(f"contains more than {most // 1_000_000} MB of text")
        said = {"about": about}
    except Unreadable as error:
        body, said = b"", {"error": str(error)}
    except MemoryError:
        body = b""
        said = {"error": f"takes more than {MEMORY_BYTES // 10**9} GB of memory to read"}
    except Exception as error:  # the readers' own, of any kind
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        body, said = (
            b"",
            {"error": f"cannot be read as {format_name}; it may be damaged ({reason})"},
        )
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n" + body)


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
