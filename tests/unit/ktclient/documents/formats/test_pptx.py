"""What presentations hold besides lines of text: charts, descriptions, equations, scripts."""

from __future__ import annotations

import base64
import datetime
import io
from typing import Any

import pptx as library
import pytest
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.oxml import parse_xml

from ktclient.documents.formats import pptx

pytestmark = pytest.mark.each_python

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
EQUATION = """<mc:AlternateContent
xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"
xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"
xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"
xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main"
xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><mc:Choice Requires="a14">
<p:sp>
<p:nvSpPr><p:cNvPr id="9" name="x"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>
<a:p><a:r><a:t>so </a:t></a:r>
<a14:m><m:oMathPara><m:oMath><m:f><m:num><m:r><m:t>3</m:t></m:r></m:num>
<m:den><m:r><m:t>4</m:t></m:r></m:den></m:f></m:oMath></m:oMathPara></a14:m><a:r><a:t> holds</a:t>
</a:r></a:p></p:txBody></p:sp></mc:Choice><mc:Fallback/></mc:AlternateContent>"""


class Deck:
    """A presentation of one slide in the making."""

    def __init__(self) -> None:
        self._made = library.Presentation()
        self.slide = self._made.slides.add_slide(self._made.slide_layouts[5])
        self.slide.shapes.title.text = "Ferries"

    def add_chart(self, kind: Any, data: Any) -> Any:
        return self.slide.shapes.add_chart(kind, 0, 0, 999, 999, data).chart

    def read(self) -> tuple[list[str], str]:
        """The parts below the title, and what is said about them."""
        file = io.BytesIO()
        self._made.save(file)
        text, about = pptx.read(file.getvalue())
        title, *parts = text.split("\n\n")
        assert title == "# Slide 1: Ferries"
        return parts, about


def test_a_charts_title_categories_and_numbers_are_a_table() -> None:
    """With gaps, and without the noise of floating point."""
    deck, data = Deck(), CategoryChartData()
    data.categories = ["Mull", "Iona"]
    data.add_series("2025", (19.2, 21.4))
    data.add_series("2026", (0.1 + 0.2, None))
    chart = deck.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, data)
    chart.has_title = True
    chart.chart_title.text_frame.text = "Cars"
    parts, about = deck.read()
    assert parts == [
        "Chart (bar chart): Cars",
        "|  | 2025 | 2026 |\n| --- | --- | --- |\n| Mull | 19.2 | 0.3 |\n| Iona | 21.4 |  |",
    ]
    assert about == "1 slide"


def test_points_and_days() -> None:
    """A chart without categories, and one over time."""
    deck, points, days = Deck(), XyChartData(), CategoryChartData()
    points.add_series("run").add_data_point(0.5, 2.7)
    deck.add_chart(XL_CHART_TYPE.XY_SCATTER, points)
    days.categories = [datetime.date(2026, 11, 29)]
    days.add_series("wind", (7,))
    deck.add_chart(XL_CHART_TYPE.LINE, days)
    parts, _ = deck.read()
    assert "| 0.5 | 2.7 |" in parts[1] and "| 2026-11-29 | 7 |" in parts[3]


def test_descriptions_stand_for_pictures() -> None:
    """Those without are counted."""
    deck = Deck()
    for words in ("A map of Mull", ""):
        picture = deck.slide.shapes.add_picture(io.BytesIO(PICTURE), 0, 0)
        picture._element.nvPicPr.cNvPr.set("descr", words)
    parts, about = deck.read()
    assert parts == ["[picture: A map of Mull]"] and about == "1 slide, without 1 picture"


def test_scripts_and_equations() -> None:
    """Also in a table, and in a shape that old programs see as a picture."""
    deck = Deck()
    table = deck.slide.shapes.add_table(1, 2, 0, 0, 99, 99).table
    table.cell(0, 1).text = "a|b"
    line = table.cell(0, 0).text_frame.paragraphs[0]
    for text, shift in (("10", 0), ("-", 30000), ("6", 30000), (" m", 0), ("2", 30000), (" H", 0)):
        piece = line.add_run()
        piece.text = text
        if shift:
            piece.font._element.set("baseline", str(shift))
    deck.slide.shapes._spTree.append(parse_xml(EQUATION))
    parts, _ = deck.read()
    assert parts == [r"| 10^-6 m^2 H | a\|b |", "so 3/4 holds"]


def test_numbers_and_struck_words() -> None:
    """As PowerPoint shows them, and line ends within a paragraph."""
    deck = Deck()
    frame = deck.slide.shapes.add_textbox(0, 0, 99, 99).text_frame
    frame.text = "Agenda\vof Monday"
    space = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    for text, scheme in (("c", "alphaLcParenR"), ("d", "alphaLcParenR"), ("x", "")):
        line = frame.add_paragraph()
        line.text = text
        if scheme:
            mark = parse_xml(f'<a:buAutoNum {space} type="{scheme}" startAt="3"/>')
            line._p.get_or_add_pPr().append(mark)
        else:
            line.runs[0].font._element.set("strike", "sngStrike")
    assert deck.read()[0] == ["Agenda\nof Monday\nc) c\nd) d\n~~x~~"]
