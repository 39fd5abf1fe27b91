#!/usr/bin/env bash
# Tool: mammoth 1.13.0
# Surprise: OOXML has two notations for a field, such as a reference to a figure. Mammoth keeps the
#   visible text of one (w:fldChar begin ... end). It drops the visible text of the other, shorter
#   one (w:fldSimple) together with the field, in HTML and in raw text: the sentence stays, with a
#   hole in it. Only `messages` says so, as a warning among those about styles.
# Seen: "See Figure 7 for the loss." with w:fldChar; "See Figure  for the loss." with w:fldSimple,
#   and the message "An unrecognised element was ignored: w:fldSimple".
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  mammoth==1.13.0

"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys
import zipfile

import mammoth

OFFICE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def run(inside: str) -> str:
    return f"<w:r>{inside}</w:r>"


def text(words: str) -> str:
    return run(f'<w:t xml:space="preserve">{words}</w:t>')


def mark(kind: str) -> str:
    return run(f'<w:fldChar w:fldCharType="{kind}"/>')


def docx(field: str) -> io.BytesIO:
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Override '
        f'PartName="/word/document.xml" ContentType="{OFFICE}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" '
        f'Type="{DOCUMENT}" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{WORDS}"><w:body><w:p>{text("See Figure ")}'
        f"{field}{text(' for the loss.')}</w:p></w:body></w:document>",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    packed.seek(0)
    return packed


complex_field = (
    mark("begin")
    + run("<w:instrText> REF loss </w:instrText>")
    + mark("separate")
    + text("7")
    + mark("end")
)
fields = {
    "w:fldChar": complex_field,
    "w:fldSimple": f'<w:fldSimple w:instr=" REF loss ">{text("7")}</w:fldSimple>',
}
seen = {}
for name, field in fields.items():
    html, raw = mammoth.convert_to_html(docx(field)), mammoth.extract_raw_text(docx(field))
    seen[name] = raw.value.strip()
    print(f"{name}: {html.value} messages: {[one.message for one in html.messages]}")
if seen != {"w:fldChar": "See Figure 7 for the loss.", "w:fldSimple": "See Figure  for the loss."}:
    sys.exit(f"changed: {seen}")
PYTHON
