"""What was typed on a page of a PDF: values of its form, and text boxes. PDFium keeps both apart
from the page's text."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2
import pypdfium2.raw as raw

from ktclient.documents.formats.left_out import LeftOut

_UNSEEN = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW
_PASSWORD = 1 << 13
_MARKED = (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
_VALUED = (
    raw.FPDF_FORMFIELD_TEXTFIELD,
    raw.FPDF_FORMFIELD_COMBOBOX,
    raw.FPDF_FORMFIELD_LISTBOX,
)
_NO_COMMENT = (raw.FPDF_ANNOT_POPUP, raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_WIDGET)
_MOST_BYTES = 10_000_000


def open_form(document: pypdfium2.PdfDocument, left: LeftOut) -> None:
    """Must come before the first page. `left` counts what PDFium does not read."""
    kind = document.get_formtype()
    if kind in (raw.FORMTYPE_XFA_FULL, raw.FORMTYPE_XFA_FOREGROUND):
        left.add("XFA form")
    if kind != raw.FORMTYPE_NONE:
        document.init_forms()
    left.add("attached file", document.count_attachments())


def typed(document: pypdfium2.PdfDocument, page: pypdfium2.PdfPage, left: LeftOut) -> str:
    """A list of the filled fields and of the text boxes of a page; "" if it has none. `left` counts
    comments."""
    fields: list[str] = []
    boxes: list[str] = []
    for number in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        if not raw.FPDFAnnot_GetFlags(annotation) & _UNSEEN:
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            if kind == raw.FPDF_ANNOT_WIDGET and document.formenv is not None:
                fields += _field(document.formenv, annotation)
            elif contents := _contents(annotation).strip():
                if kind == raw.FPDF_ANNOT_FREETEXT:
                    boxes.append(contents)
                else:
                    left.add("comment", int(kind not in _NO_COMMENT))
        raw.FPDFPage_CloseAnnot(annotation)
    return "\n\n".join([*_list("Form fields:", fields), *_list("Text boxes:", boxes)])


def _list(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield "\n".join([title, *(f"- {' '.join(line.split())}" for line in lines)])


def _field(form: Any, annotation: Any) -> Iterator[str]:
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    name = _text(raw.FPDFAnnot_GetFormFieldAlternateName, form, annotation) or _text(
        raw.FPDFAnnot_GetFormFieldName, form, annotation
    )
    if kind in _MARKED:
        is_on = bool(raw.FPDFAnnot_IsChecked(form, annotation))
        if kind == raw.FPDF_FORMFIELD_CHECKBOX:
            yield f"[{'x' if is_on else ' '}] {name}"
        elif is_on:
            yield f"{name}: {_text(raw.FPDFAnnot_GetFormFieldExportValue, form, annotation)}"
    elif kind in _VALUED and not raw.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
        value = _text(raw.FPDFAnnot_GetFormFieldValue, form, annotation).strip()
        yield from [f"{name}: {value}"] if value else []


def _contents(annotation: Any) -> str:
    return _text(raw.FPDFAnnot_GetStringValue, annotation, b"Contents")


def _text(function: Callable[..., int], *arguments: Any) -> str:
    """The text that a function of PDFium writes: it says first how many bytes that takes."""
    size = min(function(*arguments, None, 0), _MOST_BYTES)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    function(*arguments, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace").replace("\r", "\n")
