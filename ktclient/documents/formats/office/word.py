"""A Word document made ready for mammoth, which silently drops equations, simple fields, charts,
diagrams and some text boxes, and slides cells."""

from __future__ import annotations

import re
import zipfile

from lxml import etree

from ktclient.documents.formats.formulas import omml
from ktclient.documents.formats.left_out import LeftOut
from ktclient.documents.formats.markup import lists
from ktclient.documents.formats.office import charts, runs, xml
from ktclient.documents.formats.office.numbering import Numbering
from ktclient.documents.formats.office.styles import Styles

_PARTS = re.compile(r"word/[^/]+\.xml")
_MARGINS = {"header": "page header", "footer": "page footer"}
_VML = "{urn:schemas-microsoft-com:vml}"
_UNWRAPPED = ("fldSimple", "bdo", "dir", "smartTag")


def prepared(book: zipfile.ZipFile, left: LeftOut) -> bytes:
    """The archive with its text where mammoth reads it. `left` counts what stays unread."""
    changed: dict[str, bytes] = {}
    styles = Styles(_root(book, "word/styles.xml"))
    for name in book.namelist():
        if not _PARTS.fullmatch(name):
            continue
        try:
            root = xml.parse(book.read(name))
        except etree.XMLSyntaxError:
            continue  # mammoth says what is wrong with it, if it needs that part
        kind = xml.local(root)
        if kind in ("hdr", "ftr"):
            is_empty = not any((one.text or "").strip() for one in xml.named(root, "t"))
            left.add(_MARGINS["header" if kind == "hdr" else "footer"], int(not is_empty))
        elif kind == "comments":
            left.add("comment", len(xml.named(root, "comment")))
        elif kind in ("document", "footnotes", "endnotes"):
            _Part(root, book, name, left).prepare(styles)
            changed[name] = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return xml.rewritten(book, changed)


def _root(book: zipfile.ZipFile, name: str) -> etree._Element | None:
    """A part, if there is one that can be read."""
    try:
        return xml.parse(book.read(name))
    except (KeyError, etree.XMLSyntaxError):
        return None


class _Part:
    """One part of a document, changed in place."""

    def __init__(
        self, root: etree._Element, book: zipfile.ZipFile, name: str, left: LeftOut
    ) -> None:
        self._root, self._book, self._left = root, book, left
        self._related = xml.related(book, name)
        self._w = root.tag[: root.tag.index("}") + 1] if root.tag.startswith("{") else ""

    def prepare(self, styles: Styles) -> None:
        self._choose_alternatives()
        runs.mark(self._root, self._w, styles)
        self._number(Numbering(_root(self._book, "word/numbering.xml"), styles))
        self._spell_equations()
        for element in xml.named(self._root, *_UNWRAPPED):
            xml.unwrap(element)
        self._spell_ruby()
        self._keep_columns()
        for element in xml.named(self._root, "cr"):
            element.tag = f"{self._w}br"
        for element in xml.named(self._root, "ptab"):
            element.tag, _ = f"{self._w}tab", element.attrib.clear()
        self._read_drawings()
        self._count()

    def _choose_alternatives(self) -> None:
        """mammoth takes the fallback, also where there is none."""
        for one in xml.named(self._root, "AlternateContent"):
            choices = [each for each in one if xml.local(each) == "Choice"]
            fallback = xml.child(one, "Fallback")
            if any(xml.local(each) == "chart" and "chartex" in each.tag for each in one.iter()):
                self._left.add("chart")
                xml.replace(one)
            elif fallback is None or not len(fallback):
                xml.replace(one, *(choices[0] if choices else ()))
            else:
                for each in choices:
                    one.remove(each)

    def _spell_equations(self) -> None:
        for equation in xml.named(self._root, "oMath"):
            run = self._run(omml.text_of(equation))
            above = equation.getparent()
            if above is not None and xml.local(above) in ("body", "tc", "txbxContent"):
                run = self._paragraph(run)
            xml.replace(equation, run)
        for many in xml.named(self._root, "oMathPara"):
            runs = [one for one in many if xml.local(one) in ("r", "p")]
            spaced = [each for one in runs for each in (one, self._run("  "))][:-1]
            above = many.getparent()
            is_alone = above is not None and xml.local(above) != "p"
            xml.replace(many, *([self._paragraph(*spaced)] if is_alone else spaced))

    def _number(self, numbering: Numbering) -> None:
        """Write before each paragraph the number that Word shows there."""
        for paragraph in self._root.iter(f"{self._w}p"):
            label = numbering.label(paragraph)
            if label is not None:
                settings = xml.child(paragraph, "pPr")
                place = 0 if settings is None else paragraph.index(settings) + 1
                paragraph.insert(place, self._run(lists.marked(label)))

    def _spell_ruby(self) -> None:
        """How a word is read follows it: `漢字(kanji)`."""
        for ruby in xml.named(self._root, "ruby"):
            run = ruby.getparent()
            base, reading = xml.child(ruby, "rubyBase"), xml.child(ruby, "rt")
            if run is None or run.getparent() is None or base is None:
                continue
            for one in list(base):
                run.addprevious(one)
            if reading is not None:
                words = "".join(one.text or "" for one in xml.named(reading, "t"))
                run.addprevious(self._run(f"({words})"))
            run.remove(ruby)

    def _keep_columns(self) -> None:
        """Without marks of merging, a merged cell stays as an empty one."""
        for element in xml.named(self._root, "vMerge"):
            above = element.getparent()
            if above is not None:
                above.remove(element)
        for element in xml.named(self._root, "gridBefore"):
            row = next((one for one in element.iterancestors() if xml.local(one) == "tr"), None)
            text = xml.value(element) or ""
            first = xml.child(row, "tc") if row is not None else None
            if first is not None and text.isdigit():
                for _ in range(min(int(text), 60)):
                    first.addprevious(self._cell(""))

    def _read_drawings(self) -> None:
        for element in xml.named(self._root, "chart", "relIds"):
            self._read_graphic(element)
        for drawing in xml.named(self._root, "drawing"):
            boxes = xml.named(drawing, "txbxContent")
            if boxes:
                picture = etree.Element(f"{self._w}pict")
                for box in boxes:
                    etree.SubElement(picture, f"{_VML}textbox").append(box)
                above = drawing.getparent()
                if above is not None:
                    drawing.addnext(picture)
        for one in xml.named(self._root, "OLEObject"):
            program = one.get("ProgID", "")
            is_equation = program.startswith(("Equation", "MathType"))
            self._left.add("equation object" if is_equation else "embedded object")

    def _read_graphic(self, element: etree._Element) -> None:
        is_chart = xml.local(element) == "chart"
        part = self._related.get(xml.target(element, "id" if is_chart else "dm") or "")
        paragraph = next(
            (one for one in reversed(list(element.iterancestors())) if xml.local(one) == "p"), None
        )
        made: list[etree._Element] = []
        if part is not None and part in self._book.namelist() and paragraph is not None:
            body = self._book.read(part)
            made = self._chart(body) if is_chart else self._diagram(body)
        if not made:
            self._left.add("chart" if is_chart else "diagram")
        for one in reversed(made):
            assert paragraph is not None
            paragraph.addnext(one)

    def _chart(self, body: bytes) -> list[etree._Element]:
        chart = charts.read(body)
        if chart is None:
            return []
        return [self._paragraph(self._run(chart.heading())), *map(self._table, chart.tables)]

    def _diagram(self, body: bytes) -> list[etree._Element]:
        try:
            words = xml.texts(xml.parse(body))
        except etree.XMLSyntaxError:
            return []
        return [self._paragraph(self._run(f"- {text}")) for text in words]

    def _count(self) -> None:
        self._left.add("embedded document", len(xml.named(self._root, "altChunk", "subDoc")))
        deleted = [one for one in xml.named(self._root, "del") if xml.named(one, "delText")]
        self._left.add("deleted passage", len(deleted))

    def _run(self, text: str) -> etree._Element:
        run = etree.Element(f"{self._w}r")
        words = etree.SubElement(run, f"{self._w}t")
        words.text = text
        words.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
        return run

    def _paragraph(self, *runs: etree._Element) -> etree._Element:
        paragraph = etree.Element(f"{self._w}p")
        paragraph.extend(runs)
        return paragraph

    def _cell(self, text: str) -> etree._Element:
        cell = etree.Element(f"{self._w}tc")
        cell.append(self._paragraph(self._run(text)))
        return cell

    def _table(self, rows: list[list[str]]) -> etree._Element:
        table = etree.Element(f"{self._w}tbl")
        for cells in rows:
            row = etree.SubElement(table, f"{self._w}tr")
            row.extend(self._cell(text) for text in cells)
        return table
