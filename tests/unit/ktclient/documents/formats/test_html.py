"""Pages whose meaning would change as plain words: scripts, formulas, tables, blocks, pictures."""

from __future__ import annotations

import pytest

from ktclient.documents.formats import html
from ktclient.documents.formats.left_out import LeftOut

pytestmark = pytest.mark.each_python


def text_of(source: str) -> str:
    return html.text_of(source, LeftOut()).strip()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("10<sup>9</sup> bytes", "10^9 bytes"),
        ("10<sup>-3</sup> m<sup>3</sup>/s", "10^-3 m^3/s"),
        ("C<sub>6</sub>H<sub>12</sub>O<sub>6</sub>", "C_6H_12O_6"),
        ("a<sub>i+1</sub>, Fe<sup>3+</sup>", "a_(i+1), Fe^(3+)"),
        ("e<sup>x<sup>2</sup></sup>", "e^(x^2)"),
        ("2<sup>4</sup>5", "2^(4)5"),
        ("the 3<sup>rd</sup> of May, 2<sup>nd</sup>", "the 3rd of May, 2nd"),
        ("<sup>235</sup>U", "^235U"),
        ("1<sup>3</sup>/<sub>4</sub> miles", "1 3/4 miles"),
        ('5<span style="vertical-align: super">2</span>', "5^2"),
        ("<sup> </sup>nothing", "nothing"),
    ],
)
def test_scripts_are_spelled(source: str, text: str) -> None:
    """A raised six is no part of the number before it."""
    assert text_of(f"<p>{source}</p>") == text


@pytest.mark.parametrize(
    "source",
    [
        'said<sup><a href="#fn7">7</a></sup> so',
        'said<a href="#fn7"><sup>7</sup></a> so',
        'said<sup><a href="#fn7">[7]</a></sup> so',
        'said<a href="#fn7">7</a> so',
        'said<a epub:type="noteref" href="notes.xhtml">7</a> so',
        'said<a role="doc-noteref" href="#x"><sup>7</sup></a> so',
        'said<sup class="footnote-ref">7</sup> so',
        "said<sup>[7]</sup> so",
    ],
)
def test_note_marks_are_set_apart(source: str) -> None:
    """However books and pages write them."""
    assert text_of(f"<p>{source}</p>") == "said[7] so"


def test_notes_and_links_keep_what_they_are() -> None:
    """The number above a note, marks that are no digits, and a link that is a word."""
    assert text_of("<p><sup>7</sup> He never did.</p>") == "[7] He never did."
    assert text_of('<p>word<sup><a href="#a">*</a></sup></p>') == "word*"
    assert text_of('<p>see <a href="#c2">2</a> and <a href="#c3">part</a></p>') == "see 2 and part"


MATH = [
    (
        "<msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mfrac><mn>3</mn><mn>4</mn></mfrac>",
        "x^2 + 3/4",
    ),
    (
        "<mi>x</mi><mo>=</mo><mfrac><mrow><mo>-</mo><mi>b</mi><mo>±</mo><msqrt><mrow>"
        "<msup><mi>b</mi><mn>2</mn></msup><mo>-</mo><mn>4</mn><mi>a</mi><mi>c</mi></mrow></msqrt>"
        "</mrow><mrow><mn>2</mn><mi>a</mi></mrow></mfrac>",
        "x = (-b ± sqrt(b^2 - 4ac))/(2a)",
    ),
    (
        "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover>"
        "<msub><mi>y</mi><mi>i</mi></msub>",
        "∑_(i = 1)^n y_i",
    ),
    ("<mroot><mi>x</mi><mn>3</mn></mroot><mo>≤</mo><mn>7</mn>", "sqrt[3](x) ≤ 7"),
    ("<mfrac><mn>1</mn><mn>2</mn></mfrac><mi>m</mi>", "(1/2)m"),
    ('<mfrac linethickness="0"><mi>n</mi><mi>k</mi></mfrac>', "binom(n, k)"),
    ("<mi>sin</mi><mo>&#x2061;</mo><mi>θ</mi>", "sin θ"),
    ("<mover><mi>v</mi><mo>→</mo></mover><msup><mi>f</mi><mo>\u2032</mo></msup>", "vec(v)f\u2032"),
    (
        "<mo>(</mo><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr>"
        "<mtr><mtd><mn>0</mn></mtd><mtd><mn>1</mn></mtd></mtr></mtable><mo>)</mo>",
        "([1, 0; 0, 1])",
    ),
    (
        "<mmultiscripts><mi>C</mi><mprescripts/><mn>6</mn><mn>14</mn></mmultiscripts>",
        "_6^14C",
    ),
    (
        "<semantics><mrow><mi>x</mi></mrow><annotation encoding='application/x-tex'>"
        "{\\displaystyle x^{2}}</annotation></semantics>",
        "$x^{2}$",
    ),
    ("<m:msub><m:mi>k</m:mi><m:mi>B</m:mi></m:msub>", "k_B"),
]


@pytest.mark.parametrize(("formula", "text"), MATH, ids=[text for _, text in MATH])
def test_formulas_are_read_on_one_line(formula: str, text: str) -> None:
    """As TeX if the page has that."""
    assert text_of(f"<p>so <math>{formula}</math> holds</p>") == f"so {text} holds"


def test_a_formula_of_its_own_line_stays_there() -> None:
    """And one without end ends nothing."""
    page = "<p>so</p><math display='block'><mi>a</mi><mo>=</mo><mn>1</mn></math><p>holds</p>"
    assert text_of(page).split("\n\n") == ["so", "a = 1", "holds"]
    many = "<math>" + "<mfrac><mn>1</mn>" * 240 + "<mi>x</mi>"
    assert text_of(f"<p>a{many}").startswith("a1/")
    deep = "<math>" + "<mrow>" * 200 + "<mi>x</mi>" + "</mrow>" * 200 + "</math>"
    assert text_of(f"<p>{deep}</p>") == "x"


def test_a_cell_stays_in_its_column() -> None:
    """Below one that spans rows, also at the end of a row, and whatever it contains."""
    table = (
        "<table><tr><th>Drug<th>Dose<th>Effect<tr><td rowspan=3>Ibuprofen<td>10 mg<td rowspan=2>"
        "none<tr><td>50 mg<tr><td>99 mg<td>a|b<tr><td>x<td colspan=2>y</table>"
    )
    assert text_of(table).split("\n") == [
        "| Drug | Dose | Effect |",
        "| --- | --- | --- |",
        "| Ibuprofen | 10 mg | none |",
        "|  | 50 mg |  |",
        r"|  | 99 mg | a\|b |",
        "| x | y | |",
    ]


def test_a_table_that_lays_out_a_page_is_no_table() -> None:
    """Its cells are blocks; the table of data in it is one."""
    page = (
        "<table><tr><td>menu</td><td><table><tr><td>a<td>b<tr><td>c<td>d</table></td></tr></table>"
    )
    assert text_of(page) == "menu\n\n| a | b |\n| --- | --- |\n| c | d |"
    assert text_of("<table role=presentation><tr><td>left<td>right</table>") == "left\n\nright"


def test_blocks_are_apart() -> None:
    """Every element that a browser begins a line with."""
    names = "nav main aside header footer summary details address fieldset legend form figure"
    page = "".join(f"<{name}>{name}.</{name}>" for name in names.split())
    assert text_of(page).split("\n\n") == [f"{name}." for name in names.split()]
    assert text_of("<nav><a href=1>Home</a><a href=2>Ports</a></nav>end") == "Home Ports\n\nend"
    assert text_of("<p><button>Yes</button><button>No</button>") == "Yes No"


def test_what_a_page_shows_and_no_text_is() -> None:
    """Descriptions stand for pictures, the rest is counted; a form says what is filled in."""
    left = LeftOut()
    page = (
        "<p>A <img src=a.png alt='map of Mull'> b <img src=b.png><img src=c.png alt='c.png'>"
        "<img width=1 src=t><svg><text>9</text></svg><iframe></iframe> <input value=Ann>"
        "<input type=checkbox checked>yes <select><option>red<option selected>blue</select>"
    )
    text = html.text_of(page, left)
    assert " ".join(text.split()) == "A [picture: map of Mull] b Ann [x] yes blue"
    assert left.words() == ", without 2 pictures, 1 drawing and 1 embedded page"


def test_ruby_follows_its_word() -> None:
    """With and without the brackets of the page."""
    for page in ("漢字<rt>kanji</rt>", "漢字<rp>(</rp><rt>kanji</rt><rp>)</rp>"):
        assert text_of(f"<p><ruby>{page}</ruby>") == "漢字(kanji)"


def test_spans_beyond_measure_end() -> None:
    """At the ends of the table and of what HTML allows."""
    table = "<table><tr><td rowspan=99999>a<td colspan=0>b<tr><td>c</table>"
    assert text_of(table).split("\n")[2] == "|  | c |"
    assert text_of("<table><tr><td colspan=9999>a<td>b</table>").count("|") < 2_100


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<ol start=7><li>a<li value=12>b<li>c</ol>", "7. a\n12. b\n13. c"),
        ("<ol reversed><li>a<li>b</ol>", "2. a\n1. b"),
        ("<ol type=a><li>a<li>b<ol type=I><li>x</ol></ol>", "a. a\nb. b\n    I. x"),
        ("<ol style='list-style-type: lower-roman' start=3><li>a<li>b</ol>", "iii. a\niv. b"),
        ("<ol style='list-style: none'><li>Art. 8<li>Art. 9</ol>", "Art. 8\nArt. 9"),
        ("<ol><li><p>a</p><p>more</p><li>b</ol>", "1. a\n\n   more\n2. b"),
    ],
)
def test_items_have_the_numbers_that_a_browser_shows(source: str, text: str) -> None:
    """A text says "see 12" or "clause b(I)"."""
    assert text_of(source) == text


def test_what_is_struck_out_does_not_hold() -> None:
    """By an element of today or of long ago, a style or a class."""
    page = (
        "<style>.old, p.x { color: red; text-decoration: line-through }</style>9 <strike>8</strike>"
        " <span style='text-decoration:line-through'>7</span> <a class=old href=x>6</a> <s>5</s>"
    )
    assert text_of(page) == "9 ~~8~~ ~~7~~ ~~6~~ ~~5~~"


def test_classes_raise_and_lower() -> None:
    """Books from InDesign have no other scripts. Their sheets are files of their own."""
    sheet = "/* .no{vertical-align: super} */ @media print{.up, span.c7 {vertical-align:super}}"
    page = "<p>10<span class='a up'>7</span> m, 4<span class=no>5</span>, x<i class=c7>n</i>"
    assert html.text_of(page, LeftOut(), sheet=sheet).strip() == "10^7 m, 45, x^n"


@pytest.mark.parametrize(
    "drawn",
    [
        "<span class=katex><span class=katex-mathml><math><semantics><mi>a</mi><annotation "
        "encoding='application/x-tex'>a^2</annotation></semantics></math></span>"
        "<span class=katex-html aria-hidden=true>a2</span></span>",
        "<span class=MathJax_Preview>a2</span><span class=MathJax><nobr>a2</nobr></span>"
        "<script type='math/tex'>a^2</script>",
        "<div class=MathJax_Display><span class=MathJax>a2</span></div>"
        "<script type='math/tex; mode=display'>a^2</script>",
    ],
)
def test_a_formula_that_a_script_has_drawn_is_read_once(drawn: str) -> None:
    """KaTeX and MathJax leave its source beside its letters."""
    assert " ".join(text_of(f"<p>so {drawn} holds</p>").split()) == "so $a^2$ holds"


def test_the_foot_of_a_table_is_its_last_row() -> None:
    """Wherever it is written."""
    rows = "<tbody><tr><td>a<td>1</tbody>", "<tfoot><tr><td>all<td>9</tfoot>"
    for body in (rows, rows[::-1]):
        text = text_of("<table><thead><tr><th>x<th>y</thead>" + "".join(body) + "</table>")
        assert text.split("\n") == ["| x | y |", "| --- | --- |", "| a | 1 |", "| all | 9 |"]


def test_a_table_has_one_head_also_with_many_groups_of_rows() -> None:
    """And its time does not grow with their square."""
    groups = "".join(f"<tbody><tr><th>{n}<td>a</tbody><tfoot><tr><th>x</tfoot>" for n in range(9))
    assert text_of(f"<table><tr><td>n<td>b{groups}</table>").count("| --- |") == 1


def test_coloured_code_keeps_its_blank_lines() -> None:
    """As code without colours does."""
    code = "<pre><code><b>a</b>\n\n\n\n<span>  b</span>\n\n\nc</code></pre>"
    assert text_of(code) == "```\na\n\n\n\n  b\n\n\nc\n```"
