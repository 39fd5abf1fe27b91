#!/usr/bin/env bash
# Tool: pypdfium2 5.15.2 (PDFium 159.0.8149.0), reportlab 5.1.0 for the page
# Surprise: A raised text in a line, such as an exponent, is joined to the text before it ("10" with
#   6 becomes "106"), which is known of PDF. But if it is exactly one character, PDFium also ends the
#   line behind it: a sentence is cut in two, and what joins or counts lines is misled. With two or
#   more characters there is no line end.
# Seen: 'There were 106\r\n cells in it.' for a raised 6; 'There were 1012 cells in it.' for 12;
#   'There were 10-3 cells in it.' for -3.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  pypdfium2==5.15.2 reportlab==5.1.0

"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import pypdfium2
from reportlab.pdfgen import canvas


def page(raised):
    file = io.BytesIO()
    drawn = canvas.Canvas(file)
    line = drawn.beginText(72, 700)
    line.setFont("Helvetica", 12)
    line.textOut("There were 10")
    line.setFont("Helvetica", 8)
    line.setRise(5)
    line.textOut(raised)
    line.setRise(0)
    line.setFont("Helvetica", 12)
    line.textOut(" cells in it.")
    drawn.drawText(line)
    drawn.save()
    return file.getvalue()


has_line_end = {}
for raised in ("6", "12", "-3"):
    text = pypdfium2.PdfDocument(page(raised))[0].get_textpage().get_text_range()
    print(f"raised {raised!r}: {text!r}")
    has_line_end[raised] = "\n" in text.strip()
if has_line_end != {"6": True, "12": False, "-3": False}:
    sys.exit("changed: a line end comes elsewhere, or not at all")
PYTHON
