"""An answer as people read it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ktclient.prompts import answer_schema, combined


def shown(text: str, questions: Sequence[str], has_schema: bool) -> str:
    """Several answers each under its question, JSON without the text around it. Output that cannot
    be parsed is returned unchanged."""
    if has_schema and not answer_schema.is_bare(text):
        data = answer_schema.data_or_none(text)
        return text if data is None else json.dumps(data, ensure_ascii=False, indent=1)
    if len(questions) < 2:
        return text
    answers = combined.split(text, questions)
    whole = len(combined.unanswered(answers)) < len(answers)
    return combined.as_text(answers) if whole else text
