"""An export as one HTML page that stands alone: no script, no font, no picture, no link to the
network. What a model or a document wrote is shown as text, never as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence

from ktclient.exports import text
from ktclient.exports.record import Exported

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="ktjob">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.55 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto;
       padding: 0 1rem; overflow-wrap: anywhere }}
h1 {{ font-size: 1.6rem }}
h2 {{ font-size: 1.25rem; margin: 0 0 .6rem }}
h3 {{ font-size: 1rem; margin: 1.4rem 0 .4rem }}
article {{ border-top: 2px solid; padding-top: 1.4rem; margin-top: 2.4rem }}
h2, td, pre, .answer, nav a {{ unicode-bidi: plaintext }}
.answer, pre {{ white-space: pre-wrap; margin: 0 }}
pre {{ font: .85rem/1.45 ui-monospace, monospace; border-left: 3px solid #8888;
      padding-left: .8rem }}
.why {{ font-weight: bold; border-left: 4px solid #c62828; padding-left: .6rem }}
table {{ border-collapse: collapse; font-size: .85rem }}
th, td {{ text-align: left; vertical-align: top; padding: .1rem .8rem .1rem 0 }}
th {{ font-weight: 600; white-space: nowrap }}
nav ol {{ padding-left: 1.4rem }}
@media print {{
 :root {{ color-scheme: light }}
 body {{ font-size: 10.5pt; max-width: none; margin: 0; padding: 0 }}
 article {{ margin-top: 1.2rem }}
 article + article {{ break-before: page; border: 0; padding: 0; margin: 0 }}
 h2, h3 {{ break-after: avoid }}
 tr, .why {{ break-inside: avoid }}
 p, .answer, pre {{ orphans: 3; widows: 3 }}
 nav a {{ color: inherit; text-decoration: none }}
}}
</style>
</head>
<body>
<h1>{title}</h1>
"""
_CONTROLS = {
    number: 0xFFFD for number in (*range(32), *range(127, 160)) if chr(number) not in "\t\n"
}


def pieces(records: Iterable[Exported], contents: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The page, piece by piece. `contents`: the id and the heading of each record."""
    title = "1 answer" if len(contents) == 1 else f"{len(contents):,} answers"
    yield _HEAD.format(title=_safe(title))
    if len(contents) > 1:
        rows = (f'<li><a href="#{_safe(one)}">{_safe(words)}</a></li>' for one, words in contents)
        yield "<nav><ol>\n" + "\n".join(rows) + "\n</ol></nav>\n"
    for one in records:
        yield from _article(one)
    yield "</body>\n</html>\n"


def _article(one: Exported) -> Iterator[str]:
    yield f'<article id="{_safe(one.id)}">\n<h2>{_safe(text.heading(one))}</h2>\n'
    if (why := text.why(one)) is not None:
        yield f'<p class="why">{_safe(why)}</p>\n'
    yield f'<div class="answer">{_safe(one.shown.strip())}</div>\n'
    if one.thoughts:
        yield f"<h3>Thoughts</h3>\n<pre>{_safe(one.thoughts)}</pre>\n"
    if sources := text.sources(one):
        yield f"<h3>Parts of the document</h3>\n{_table(sources)}"
    yield f"<h3>About this answer</h3>\n{_table(text.facts(one))}"
    if one.document.text is not None:
        yield f"<h3>Document</h3>\n<pre>{_safe(one.document.text)}</pre>\n"
    yield "</article>\n"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = (f"<tr><th>{_safe(name)}</th><td>{_safe(value)}</td></tr>\n" for name, value in rows)
    return f"<table>\n{''.join(cells)}</table>\n"


def _safe(words: str) -> str:
    return html.escape(words.translate(_CONTROLS))
