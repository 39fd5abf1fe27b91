"""What Word's documents hold besides plain paragraphs: equations, fields, charts, merged cells."""

from __future__ import annotations

import io
import zipfile

import pytest

from ktclient.documents.formats import docx

pytestmark = pytest.mark.each_python

_NAMES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CHART = f"""<c:chartSpace {_NAMES}><c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Tides</a:t></a:r>
</a:p></c:rich></c:tx></c:title><c:plotArea><c:lineChart><c:ser><c:tx><c:strRef><c:strCache>
<c:pt idx="0"><c:v>metres</c:v></c:pt></c:strCache></c:strRef></c:tx><c:cat><c:strRef><c:strCache>
<c:pt idx="0"><c:v>Mon</c:v></c:pt><c:pt idx="1"><c:v>Tue</c:v></c:pt></c:strCache></c:strRef>
</c:cat><c:val><c:numRef><c:numCache><c:pt idx="0"><c:v>4.0999999999999996</c:v></c:pt>
<c:pt idx="1"><c:v>3</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser></c:lineChart>
</c:plotArea></c:chart></c:chartSpace>"""
DIAGRAM = f"""<dgm:dataModel {_NAMES}><dgm:pt><dgm:t><a:p><a:r><a:t>Plan</a:t></a:r></a:p></dgm:t>
</dgm:pt><dgm:pt><dgm:t><a:p><a:r><a:t>Sail</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:dataModel>"""


def document(body: str, **parts: str) -> bytes:
    """A document with this body; the parts by their name in word/, related by it."""
    related = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{name}" Target="{name}.xml"/>' for name in parts
    )
    all_parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="a" '
        f'Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f"<w:document {_NAMES}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f"{related}</Relationships>",
        **{f"word/{name}.xml": text for name, text in parts.items()},
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, text in all_parts.items():
            made.writestr(name, text)
    return file.getvalue()


def run(text: str, settings: str = "") -> str:
    return f'<w:r><w:rPr>{settings}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def cell(text: str, settings: str = "") -> str:
    return f"<w:tc><w:tcPr>{settings}</w:tcPr><w:p>{run(text)}</w:p></w:tc>"


def read(body: str, **parts: str) -> str:
    return docx.read(document(body, **parts))[0].strip()


def math(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def test_raised_characters() -> None:
    """And lowered ones."""
    up, down = '<w:vertAlign w:val="superscript"/>', '<w:vertAlign w:val="subscript"/>'
    body = run("3 km") + run("2", up) + run(" of CO") + run("2", down) + run(", 10") + run("-9", up)
    assert read(f"<w:p>{body}</w:p>") == "3 km^2 of CO_2, 10^-9"


EQUATIONS = [
    (math("F=m") + math("a"), "F = ma"),
    (
        f"<m:sSup><m:e>{math('v')}</m:e><m:sup>{math('2')}</m:sup></m:sSup>{math('/r')}",
        "v^2/r",
    ),
    (
        f"<m:f><m:num>{math('a+b')}</m:num><m:den>{math('c')}</m:den></m:f>",
        "(a + b)/c",
    ),
    (
        '<m:rad><m:radPr><m:degHide m:val="1"/></m:radPr><m:deg/>'
        f"<m:e>{math('2g')}<m:r><m:t>h</m:t></m:r></m:e></m:rad>",
        "sqrt(2gh)",
    ),
    (
        f'<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>{math("i=1")}</m:sub>'
        f"<m:sup>{math('n')}</m:sup><m:e><m:sSub><m:e>{math('x')}</m:e><m:sub>{math('i')}</m:sub>"
        "</m:sSub></m:e></m:nary>",
        "∑_(i = 1)^n x_i",
    ),
    (
        f"<m:func><m:fName>{math('cos')}</m:fName><m:e>{math('θ')}</m:e></m:func>",
        "cos θ",
    ),
    (
        f'<m:d><m:dPr><m:begChr m:val="["/><m:endChr m:val="]"/></m:dPr><m:e>{math("x")}</m:e>'
        "</m:d>",
        "[x]",
    ),
    (
        f"<m:d><m:e><m:m><m:mr><m:e>{math('1')}</m:e><m:e>{math('0')}</m:e></m:mr>"
        f"<m:mr><m:e>{math('0')}</m:e><m:e>{math('1')}</m:e></m:mr></m:m></m:e></m:d>",
        "[1, 0; 0, 1]",
    ),
]


@pytest.mark.parametrize(("equation", "text"), EQUATIONS, ids=[text for _, text in EQUATIONS])
def test_equations_are_text(equation: str, text: str) -> None:
    """In a line, and on lines of their own."""
    inline = f"<m:oMath>{equation}</m:oMath>"
    assert read(f"<w:p>{run('so ')}{inline}{run(' holds')}</w:p>") == f"so {text} holds"
    assert read(f"<w:p><m:oMathPara>{inline}</m:oMathPara></w:p>") == text


def test_an_equation_nested_beyond_measure_is_read() -> None:
    """Or refused as damaged by the reader, never lost."""
    deep = "<m:rad><m:e>" * 180 + math("x") + "</m:e></m:rad>" * 180
    assert read(f"<w:p><m:oMath>{deep}</m:oMath></w:p>").startswith("sqrt(sqrt(")


def test_simple_fields_keep_their_text() -> None:
    """Also inside one another, in a link and in a note."""
    field = f'<w:fldSimple w:instr="REF a">{run("7")}</w:fldSimple>'
    outer = f'<w:fldSimple w:instr="SEQ b">{run("Table ")}{field}</w:fldSimple>'
    assert read(f"<w:p>{run('See ')}{outer}{run('.')}</w:p>") == "See Table 7."
    assert read(f"<w:p><w:hyperlink w:anchor='x'>{outer}</w:hyperlink></w:p>") == "Table 7"


def test_merged_cells_do_not_slide() -> None:
    """Also where a row begins later."""
    start, more = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    rows = [
        cell("Drug") + cell("Dose") + cell("Effect"),
        cell("Ibuprofen", start) + cell("10 mg") + cell("none"),
        cell("", more) + cell("50 mg") + cell("a|b"),
        '<w:trPr><w:gridBefore w:val="1"/></w:trPr>' + cell("99 mg") + cell("all"),
    ]
    table = "".join(f"<w:tr>{row}</w:tr>" for row in rows)
    assert read(f"<w:tbl>{table}</w:tbl>").split("\n") == [
        "| Drug | Dose | Effect |",
        "| --- | --- | --- |",
        "| Ibuprofen | 10 mg | none |",
        r"|  | 50 mg | a\|b |",
        "|  | 99 mg | all |",
    ]


def test_charts_and_diagrams_are_read() -> None:
    """By the values that they were drawn with."""
    chart = '<w:r><w:drawing><c:chart r:id="chart"/></w:drawing></w:r>'
    diagram = '<w:r><w:drawing><dgm:relIds r:dm="data"/></w:drawing></w:r>'
    body = f"<w:p>{run('See:')}{chart}</w:p><w:p>{diagram}</w:p><w:p>{run('End.')}</w:p>"
    text = read(body, chart=CHART, data=DIAGRAM)
    assert text == (
        "See:\n\nChart (line chart): Tides\n\n|  | metres |\n| --- | --- |\n| Mon | 4.1 |\n"
        "| Tue | 3 |\n\n- Plan\n\n- Sail\n\nEnd."
    )


def test_text_that_stands_apart_is_read() -> None:
    """Text boxes without a form for old programs, readings of characters, breaks of old ones."""
    box = (
        "<w:r><w:drawing><wps:txbx><w:txbxContent>"
        f"<w:p>{run('boxed')}</w:p></w:txbxContent></wps:txbx></w:drawing></w:r>"
    )
    assert read(f"<w:p>{run('a')}{box}</w:p>") == "a\n\nboxed"
    alone = f"<w:r><mc:AlternateContent><mc:Choice>{box}</mc:Choice></mc:AlternateContent></w:r>"
    assert "boxed" in read(f"<w:p>{run('a')}{alone}</w:p>")
    ruby = (
        f"<w:r><w:ruby><w:rt>{run('kanji')}</w:rt><w:rubyBase>{run('漢字')}</w:rubyBase></w:ruby>"
        "</w:r>"
    )
    assert read(f"<w:p>{ruby}</w:p>") == "漢字(kanji)"
    assert read("<w:p><w:r><w:t>a</w:t><w:cr/><w:t>b</w:t></w:r></w:p>").split() == ["a", "b"]


def test_what_is_left_out_is_counted() -> None:
    """Margins with text, comments, deleted text, charts without numbers, what mammoth ignores."""
    body = (
        f"<w:p>{run('text')}<w:del><w:r><w:delText>no</w:delText></w:r></w:del>"
        '<w:r><w:drawing><c:chart r:id="gone"/></w:drawing></w:r>'
        f"<w:unheard>{run('of')}</w:unheard></w:p><w:p><w:altChunk/></w:p>"
    )
    text, about = docx.read(
        document(
            body,
            header1=f"<w:hdr {_NAMES}><w:p>{run('head')}</w:p></w:hdr>",
            footer1=f"<w:ftr {_NAMES}><w:p/></w:ftr>",
            comments=f"<w:comments {_NAMES}><w:comment w:id='1'/><w:comment w:id='2'/>"
            "</w:comments>",
        )
    )
    assert text.strip() == "text"
    said = set(about.replace(" and ", ", ").replace("without ", "").split(", "))
    assert said == {
        *("1 words", "2 comments", "1 page header", "1 deleted passage", "1 chart"),
        *("1 embedded document", "1 w:unheard element"),
    }


NUMBERING = f"""<w:numbering {_NAMES}><w:abstractNum w:abstractNumId="4">
<w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="Part %1."/>
</w:lvl><w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/>
<w:lvlText w:val="(%2)"/></w:lvl><w:lvl w:ilvl="2"><w:start w:val="1"/><w:numFmt w:val="decimal"/>
<w:isLgl/><w:lvlText w:val="%1.%3"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="5"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/>
<w:lvlText w:val="-"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="4"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="4"/><w:lvlOverride w:ilvl="0">
<w:startOverride w:val="9"/></w:lvlOverride></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="5"/></w:num></w:numbering>"""
STYLES = f"""<w:styles {_NAMES}><w:style w:type="paragraph" w:styleId="Base"><w:name w:val="B"/>
<w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Part"><w:name w:val="heading 1"/><w:basedOn w:val="Base"/>
</w:style><w:style w:type="character" w:styleId="Up"><w:name w:val="Up"/>
<w:rPr><w:vertAlign w:val="superscript"/></w:rPr></w:style>
<w:style w:type="character" w:styleId="Out"><w:name w:val="Out"/><w:basedOn w:val="Up"/>
<w:rPr><w:vertAlign w:val="baseline"/><w:dstrike/></w:rPr></w:style></w:styles>"""


def item(text: str, level: int = 0, number: int = 1) -> str:
    place = f'<w:ilvl w:val="{level}"/><w:numId w:val="{number}"/>'
    return f"<w:p><w:pPr><w:numPr>{place}</w:numPr></w:pPr>{run(text)}</w:p>"


def test_paragraphs_have_the_numbers_that_word_shows() -> None:
    """Also behind an interruption, of headings by their style, and where a list begins anew."""
    body = item("Scope") + item("first", 1) + item("second", 1) + f"<w:p>{run('Between')}</w:p>"
    body += item("third", 1) + item("deep", 2) + item("Terms") + item("again", 1)
    body += f'<w:p><w:pPr><w:pStyle w:val="Part"/></w:pPr>{run("Heading")}</w:p>'
    body += item("Anew", 0, 2) + item("dot", 0, 3)
    found = [line.strip() for line in read(body, numbering=NUMBERING, styles=STYLES).split("\n")]
    assert [line for line in found if line] == [
        *("Part III. Scope", "(a) first", "(b) second", "Between", "(c) third", "3.1 deep"),
        *("Part IV. Terms", "(a) again", "# Part V. Heading", "Part IX. Anew", "- dot"),
    ]


def test_what_runs_look_like_and_mean() -> None:
    """Raised by a style or by their position, struck out twice, in a font of symbols."""
    up, out = '<w:rStyle w:val="Up"/>', '<w:rStyle w:val="Out"/>'
    body = run("10") + run("6", up) + run(" m") + run("3", '<w:position w:val="8"/>') + run(" for ")
    body += run("90", "<w:dstrike/>") + run(" ") + run("80", out) + run(" ")
    body += run("\uf061x", '<w:rFonts w:ascii="Symbol" w:hAnsi="Symbol"/>')
    assert read(f"<w:p>{body}</w:p>", styles=STYLES) == "10^6 m^3 for ~~90~~ ~~80~~ \u03b1x"
    raised = run("all of it", '<w:position w:val="8"/>')
    assert read(f"<w:p>{raised}</w:p>") == "all of it"


def test_code_and_verse_keep_their_indent() -> None:
    """A long paragraph that begins with a tab is prose."""
    lines = f"{run('if x:')}<w:r><w:br/></w:r>{run('    return 1')}"
    tab = "<w:r><w:tab/></w:r>"
    assert read(f"<w:p>{lines}</w:p><w:p>{tab}{run('end')}</w:p>") == (
        "if x:  \n    return 1\n\n\tend"
    )
    prose = "It was late. " * 12
    assert read(f"<w:p>{tab}{run(prose)}</w:p>") == prose.strip()
