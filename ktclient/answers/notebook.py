"""Render a job for a notebook: a small table, fully escaped. Pure."""

from __future__ import annotations

import html
from collections.abc import Mapping

from jobs import durations

_ROWS = ("title", "task", "server", "label", "message")
_COLOURS = {"SUCCEEDED": "#1a7f37", "RUNNING": "#0969da", "QUEUED": "#6e7781"}
_TROUBLE = "#cf222e"
_MOST = 300
"""Characters of one cell."""


def table(job: Mapping[str, object], seconds: float) -> str:
    """HTML of a snapshot's fields and of its run time, in seconds. All values are escaped."""
    state = str(job["state"])
    colour = _COLOURS.get(state, _TROUBLE)
    rows = [_row("state", f'<b style="color:{colour}">{_safe(state)}</b>{_doing(job)}')]
    rows += [_row(name, _safe(job[name])) for name in _ROWS if job.get(name)]
    if isinstance(imported := job.get("imported"), dict):
        rows.append(_row("imported", _safe(imported["at"])))
    if seconds:
        rows.append(_row("time", f"{durations.rough(seconds)} s"))
    return (
        f'<table class="ktjob"><caption>job <code>{_safe(job["id"])}</code></caption>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _doing(job: Mapping[str, object]) -> str:
    if job.get("finished_at") or not job.get("phase"):
        return ""
    done, total = job.get("done"), job.get("total")
    bar = ""
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        bar = f' <progress value="{min(done, total)}" max="{total}"></progress> {done / total:.0%}'
    return f", {_safe(job['phase'])}{bar}"


def _row(name: str, cell: str) -> str:
    style = "text-align:left"
    return f'<tr><th style="{style}">{name}</th><td style="{style}">{cell}</td></tr>'


def _safe(value: object) -> str:
    text = str(value)
    return html.escape(text if len(text) <= _MOST else text[: _MOST - 1] + "…")
